"""POST merges JSON documents."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from lrs.api.services import Services
from lrs.xapi import documents as rules
from tests.support.documents import BINARY, JSON, NONE_YET, Resource, code
from tests.support.partners import Partner


async def test_post_of_a_new_document_stores_it(resource: Resource) -> None:
    assert (await resource.ask("POST", "one", BINARY)).status_code == 204
    assert await resource.content() == BINARY
    sent = await resource.ask("POST", "two", b' { "a" : 1.0 } ', JSON)
    assert sent.status_code == 204
    response = await resource.ask("GET", "two")
    assert (response.content, response.headers["ETag"]) == (
        b' { "a" : 1.0 } ',
        sent.headers["ETag"],
    )


async def test_post_merges_first_level_members(resource: Resource) -> None:
    await resource.store({"car": {"make": "Ford", "model": "Escape"}, "driver": "Dale", "n": [1]})
    response = await resource.ask("POST", "one", {"car": {"make": "Dodge"}, "new": None})
    assert response.status_code == 204
    got = await resource.ask("GET")
    assert got.json() == {"car": {"make": "Dodge"}, "driver": "Dale", "n": [1], "new": None}
    assert got.headers["Content-Type"] == "application/json"
    assert got.headers["ETag"] == response.headers["ETag"]


@pytest.mark.parametrize("text", [b"", b"[1]", b"abc", b'{"a":1}{', b'{"a":1,"a":2}', b'{"a":NaN}'])
async def test_post_of_json_without_object_is_refused(resource: Resource, text: bytes) -> None:
    assert code(await resource.ask("POST", "one", text, JSON)) == (400, "malformed-json")
    assert (await resource.ask("GET")).status_code == 404
    await resource.store({"a": 1})
    assert code(await resource.ask("POST", "one", text, JSON)) == (400, "malformed-json")
    assert json.loads(await resource.content()) == {"a": 1}


@pytest.mark.parametrize("content_type", [None, "text/plain", "not/json", "application/jsonp"])
async def test_merge_with_another_media_type_is_refused(
    resource: Resource, content_type: str | None
) -> None:
    other = {"Content-Type": content_type} if content_type else {}
    refused = (400, "unsupported-media-type")
    await resource.store({"a": 1})
    assert code(await resource.ask("POST", "one", b'{"b":2}', other)) == refused
    assert json.loads(await resource.content()) == {"a": 1}
    await resource.ask("PUT", "two", b'{"a":1}', {**NONE_YET, **other})
    assert code(await resource.ask("POST", "two", {"b": 2})) == refused
    assert await resource.content("two") == b'{"a":1}'


async def test_json_media_type_with_parameters_is_merged(resource: Resource) -> None:
    headers = {"Content-Type": "application/json; charset=UTF-8"}
    for content in (b'{"a":1}', b'{"b":2}'):
        assert (await resource.ask("POST", "one", content, headers)).status_code == 204
    assert await resource.content() == b'{"a":1,"b":2}'


@pytest.mark.slow
async def test_merge_beyond_the_size_limit_returns_413(
    services: Services, resource: Resource
) -> None:
    half = "x" * (services.settings.max_document_bytes // 2)
    await resource.store({"a": half})
    assert code(await resource.ask("POST", "one", {"b": half})) == (413, "too-large")
    assert list(json.loads(await resource.content())) == ["a"]
    assert code(await resource.ask("POST", "two", half.encode() * 3)) == (413, "too-large")


async def test_large_document_is_merged_outside_the_event_loop(
    state: Resource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A merge of 14 MB takes more than a second."""
    threads = {}
    for name in ("check_post", "merge"):
        function = getattr(rules, name)

        def called(*arguments: Any, _name: str = name, _function: Any = function) -> Any:
            threads[_name] = threading.current_thread()
            return _function(*arguments)

        monkeypatch.setattr(rules, name, called)
    await state.store({"a": "x" * 20_000})
    assert (await state.ask("POST", "one", {"b": "x" * 20_000})).status_code == 204
    assert threads.keys() == {"check_post", "merge"}
    assert threading.main_thread() not in threads.values()
    assert list(json.loads(await state.content())) == ["a", "b"]


async def test_large_merges_hold_no_connections_while_they_wait(
    services: Services, make: Callable[..., Resource], partner: Partner, stranger: Partner
) -> None:
    large = make("state")
    await large.store({"a": "x" * 20_000})
    release = threading.Event()
    blocked = asyncio.create_task(services.thread.run(0, release.wait, 10))
    merges = [
        asyncio.create_task(large.ask("POST", "one", {"b": f"{number}"})) for number in range(8)
    ]
    try:
        async with asyncio.timeout(5):
            for number in range(4):
                small = await make("state", stranger).ask("POST", f"{number}", {"a": 1})
                assert small.status_code == 204
        assert not any(merge.done() for merge in merges)
    finally:
        release.set()
        await blocked
    assert {(await merge).status_code for merge in merges} <= {204, 409}


async def test_document_beyond_its_limit_returns_413(services: Services, state: Resource) -> None:
    content = b"x" * (services.settings.max_document_bytes + 1)
    for method in ("PUT", "POST"):
        response = await state.ask(method, "one", content, NONE_YET)
        assert code(response) == (413, "too-large")
        assert "1048576" in response.json()["detail"]


async def test_merged_document_keeps_numbers(resource: Resource) -> None:
    assert (await resource.ask("POST", "one", b'{"a":1.50,"b":1E5}', JSON)).status_code == 204
    added = b'{"b":{"c":[123456789012345678901234567890, 2.0]},"d":1e2}'
    assert (await resource.ask("POST", "one", added, JSON)).status_code == 204
    expected = b'{"a":1.50,"b":{"c":[123456789012345678901234567890, 2.0]},"d":1e2}'
    assert await resource.content() == expected
