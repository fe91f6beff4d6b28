"""Bodies whose parts are counted before they are parsed, or parsed part by part."""

from __future__ import annotations

import gc
import resource
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote_plus, unquote_plus

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrs.api.xapi import alternate_syntax
from lrs.errors import LRSError, MalformedJSON, TooLarge
from lrs.xapi import strict_json
from tests.support.partners import Partner
from tests.support.statements import XAPI

SIZE = 16 * 2**20
ITEMS = {
    "numbers": b"[" + b"0," * (SIZE // 2 - 1) + b"0]",
    "objects": b"[" + b"{}," * (SIZE // 3 - 1) + b"{}]",
    "strings": b"[" + b'"",' * (SIZE // 3 - 1) + b'""]',
    "unclosed": b"[" + b"[]," * (SIZE // 3),
}


@contextmanager
def cheap(seconds: float, megabytes: float) -> Iterator[None]:
    """The block takes so much processor time, and so much more memory than any before, at most."""
    began = time.thread_time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert time.thread_time() - began < seconds
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 1000 * megabytes


@pytest.mark.parametrize("body", ITEMS.values(), ids=ITEMS)
def test_items_are_counted_before_they_are_split(body: bytes) -> None:
    with cheap(0.01, 20), pytest.raises(TooLarge, match=r"more than 1000 items\.$"):
        strict_json.split_batch(body, 1000)


def test_large_item_is_split_without_parsing() -> None:
    body = b"[" + ITEMS["objects"] + b"]"
    with cheap(0.2, 40):
        assert strict_json.split_batch(body, 1000) == ([ITEMS["objects"]], True)


def test_large_malformed_body_is_not_parsed() -> None:
    body = b"[" + ITEMS["objects"]
    with cheap(0.2, 20), pytest.raises(MalformedJSON, match="The body is not JSON: "):
        strict_json.split_batch(body, 1000)


@pytest.mark.parametrize("count", [0, 1, 999, 1000])
def test_items_of_large_bodies_are_kept_as_sent(count: int) -> None:
    items = [b'{"a": %d}' % number for number in range(count)]
    for padding in (b" ", b" " * 70_000):
        body = b"[" + b" ,\n".join(items) + padding + b"]"
        assert strict_json.split_batch(body, 1000) == (items, True)


@pytest.mark.parametrize("path", ["statements", "track"])
async def test_body_of_too_many_items_returns_413(partner: Partner, path: str) -> None:
    for body in ITEMS.values():
        response = await partner.http.post(
            partner.url(path),
            content=body,
            headers={**partner.headers, "Content-Type": "application/json"},
        )
        assert (response.status_code, response.json()["code"]) == (413, "too-large")


async def test_xapi_body_of_too_many_items_returns_413(partner: Partner) -> None:
    response = await partner.http.post(
        "/xapi/statements",
        content=ITEMS["objects"],
        headers={**partner.headers, **XAPI, "Content-Type": "application/json"},
    )
    assert (response.status_code, response.json()["code"]) == (413, "too-large")


@pytest.mark.parametrize(
    "items",
    [b"[%b0]" % (b"0," * (SIZE // 4)), b"[" + b"[]," * (SIZE // 6)],
    ids=["too many", "unclosed"],
)
async def test_refused_body_is_freed_with_its_response(
    partner: Partner, server: str, items: bytes
) -> None:
    """Without a garbage collection: it would come after hundreds of bodies."""
    async with httpx.AsyncClient(base_url=server, auth=(partner.key, partner.secret)) as http:

        async def send() -> None:
            headers = {**XAPI, "Content-Type": "application/json"}
            response = await http.post("/xapi/statements", content=items, headers=headers)
            assert response.json()["code"] in ("malformed-json", "too-large")

        await send()
        gc.collect()
        gc.disable()
        tracemalloc.start()
        try:
            for _ in range(4):
                await send()
            kept, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
            gc.enable()
    assert kept < len(items)


# The content of a form


def test_large_content_is_decoded_in_parts() -> None:
    """As a whole it would take 110 MB."""
    with cheap(2, 25):
        assert alternate_syntax.decode(b"%41" * 500_000) == b"A" * 500_000


@given(st.text("aü€\U0001f600%+ &=41"), st.integers(3, 12), st.booleans())
def test_content_in_parts_is_the_whole_content(text: str, part_bytes: int, encoded: bool) -> None:
    content = quote_plus(text).encode() if encoded else text.encode()
    try:
        expected = unquote_plus(content.decode(), errors="strict").encode()
    except UnicodeDecodeError:
        with pytest.raises(LRSError):
            alternate_syntax.decode(content, part_bytes)
    else:
        assert alternate_syntax.decode(content, part_bytes) == expected
