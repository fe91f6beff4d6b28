"""Request bodies with Content-Encoding gzip and zstd."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import httpx
import pytest
import zstandard

from lrs.api.admission import Unlimited
from lrs.api.application import Application
from lrs.api.services import Services
from lrs.auth import scopes
from tests.support.attachments import BOUNDARY, attachment_of, multipart_body, statement_with
from tests.support.invalid_input import EVENT, INTERFACES, check, post, text
from tests.support.partners import Partner, new_partner
from tests.support.statements import JSON, XAPI, new_id, statement

COMPRESS = {"gzip": gzip.compress, "x-gzip": gzip.compress, "zstd": zstandard.compress}
MIB = b"\0" * 1_048_576


def in_frames(content: bytes) -> bytes:
    """zstd as a streaming encoder sends it: without the size of the content."""
    encoder = zstandard.ZstdCompressor().compressobj()
    return b"".join([encoder.compress(content), encoder.flush()])


def body(interface: str) -> bytes:
    return json.dumps(EVENT).encode() if interface == "track" else text().encode()


@pytest.mark.parametrize("interface", INTERFACES)
@pytest.mark.parametrize("coding", [*COMPRESS, "GZIP", "identity, gzip", "gzip,"])
async def test_compressed_body_is_stored(partner: Partner, interface: str, coding: str) -> None:
    compress = COMPRESS.get(coding, gzip.compress)
    headers = {"Content-Encoding": coding}
    response = await post(partner, interface, compress(body(interface)), headers)
    assert response.status_code == 200, response.text
    assert len(await partner.all()) == 1


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
async def test_compressed_batch_has_one_result_per_item(partner: Partner, coding: str) -> None:
    sent = [statement(id=new_id(), result={"response": "ü" * 2_000}) for _ in range(40)]
    content = json.dumps([*sent, {}]).encode()
    halves = content[:200_000], content[200_000:]  # two gzip members, two zstd frames
    compress = gzip.compress if coding == "gzip" else in_frames
    compressed = b"".join(map(compress, halves))
    response = await post(partner, "statements", compressed, {"Content-Encoding": coding})
    assert response.status_code == 207
    outcomes = [result["outcome"] for result in response.json()["results"]]
    assert outcomes == ["stored"] * 40 + ["invalid"]


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
@pytest.mark.parametrize("interface", INTERFACES)
async def test_body_that_expands_beyond_the_limit_returns_413(
    partner: Partner, interface: str, coding: str
) -> None:
    if coding == "gzip":
        encoder: Any = zlib.compressobj(wbits=31)
    else:
        encoder = zstandard.ZstdCompressor().compressobj()
    bomb = b"".join([*(encoder.compress(MIB) for _ in range(20)), encoder.flush()])
    assert len(bomb) < 30_000
    response = await post(partner, interface, bomb, {"Content-Encoding": coding})
    check(response)
    assert (response.status_code, response.json()["code"]) == (413, "too-large")
    assert "16777216" in response.json()["detail"]


async def test_item_limit_applies_to_decompressed_bytes(partner: Partner) -> None:
    item = json.dumps(statement(result={"response": "a" * 20_000})).encode()
    response = await post(partner, "statements", gzip.compress(item), {"Content-Encoding": "gzip"})
    assert (response.status_code, response.json()["code"]) == (413, "too-large")
    assert "16384" in response.json()["detail"]


CORRUPT = {
    "plain JSON": lambda compress: text().encode(),
    "empty": lambda compress: b"",
    "truncated": lambda compress: compress(text().encode())[:-5],
    "only a header": lambda compress: compress(text().encode())[:6],
    "flipped bits": lambda compress: compress(text().encode())[:30] + b"\xff" * 30,
    "trailing bytes": lambda compress: compress(text().encode()) + b"{}",
    "many members": lambda compress: compress(b"") * 2_000,
}


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
@pytest.mark.parametrize("corrupt", CORRUPT.values(), ids=CORRUPT)
async def test_corrupt_stream_returns_400(partner: Partner, coding: str, corrupt: Any) -> None:
    for interface in INTERFACES:
        content = corrupt(COMPRESS[coding])
        response = await post(partner, interface, content, {"Content-Encoding": coding})
        check(response)
        assert (response.status_code, response.json()["code"]) == (400, "bad-request")
        assert coding in response.json()["detail"]
    assert await partner.all() == []


async def test_zstd_window_beyond_8_mib_is_refused(partner: Partner) -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27)
    encoder = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    content = encoder.compress(text().encode()) + encoder.flush()
    response = await post(partner, "xapi", content, {"Content-Encoding": "zstd"})
    assert (response.status_code, response.json()["code"]) == (400, "bad-request")


async def test_compressed_multipart_body_is_stored(partner: Partner) -> None:
    sent = statement_with(attachment_of(b"hello"), id=new_id())
    response = await partner.http.post(
        "/xapi/statements",
        content=gzip.compress(multipart_body(sent, b"hello")),
        headers={
            **XAPI,
            **partner.headers,
            "Content-Type": f"multipart/mixed; boundary={BOUNDARY}",
            "Content-Encoding": "gzip",
        },
    )
    assert (response.status_code, response.json()) == (200, [sent["id"]])


async def test_compressed_document_is_stored_decompressed(partner: Partner) -> None:
    url = "/xapi/activities/state?activityId=http://a.b/c&stateId=s&agent=" + json.dumps(
        {"mbox": "mailto:a@b.c"}
    )
    headers = {**JSON, **XAPI, **partner.headers}
    for method, coding in (("PUT", "gzip"), ("POST", "zstd")):
        content = COMPRESS[coding](b'{"a":1}' if method == "PUT" else b'{"b":2}')
        response = await partner.http.request(
            method, url, content=content, headers={**headers, "Content-Encoding": coding}
        )
        assert response.status_code == 204
    response = await partner.http.get(url, headers=headers)
    assert (response.content, "content-encoding" in response.headers) == (b'{"a":1,"b":2}', False)


async def test_compressed_import_of_people_is_read(
    services: Services, http: httpx.AsyncClient
) -> None:
    operator = await new_partner(services, http, frozenset({scopes.ADMIN}))
    response = await http.post(
        operator.url("people/imports?preview=true"),
        content=gzip.compress(b"type,user,email\nuser,1,a@b.c\n"),
        headers={**operator.headers, "Content-Type": "text/csv", "Content-Encoding": "gzip"},
    )
    assert response.status_code == 200, response.text


class CountingAdmission(Unlimited):
    """Counts the bytes of bodies that are held in addition to those received."""

    held = 0

    def hold_body(self, size: int) -> None:
        self.held += size


async def test_decompressed_bytes_are_held(app: Application, partner: Partner) -> None:
    """A body that expands takes as much of the shares of its credential as a plain one."""
    counted = CountingAdmission()

    async def counting_app(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "admission": counted}, receive, send)

    content = json.dumps([statement(result={"response": "a" * 10_000}) for _ in range(300)])
    compressed = gzip.compress(content.encode())
    transport = httpx.ASGITransport(app=counting_app)
    async with httpx.AsyncClient(transport=transport, base_url="http://lrs.test") as http:
        response = await http.post(
            partner.url("statements?validate=true"),
            content=compressed,
            headers={**JSON, **partner.headers, "Content-Encoding": "gzip"},
        )
    assert response.status_code == 200
    assert counted.held == len(content) - len(compressed)


@pytest.mark.parametrize("interface", INTERFACES)
@pytest.mark.parametrize("coding", ["br", "deflate", "gzip, gzip", "zstd, gzip", "é", "x" * 1000])
async def test_unsupported_content_encoding_returns_415(
    partner: Partner, interface: str, coding: str
) -> None:
    headers: Any = {"Content-Encoding": coding.encode()}
    response = await post(partner, interface, gzip.compress(text().encode()), headers)
    check(response)
    assert (response.status_code, response.json()["code"]) == (415, "unsupported-content-encoding")
    assert response.headers["accept-encoding"] == "gzip, zstd, identity"
    assert "gzip, zstd, identity" in response.json()["detail"]
    assert len(response.json()["detail"]) < 200
    assert await partner.all() == []


async def test_token_request_accepts_no_content_encoding(partner: Partner) -> None:
    form = gzip.compress(b"grant_type=client_credentials")
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Content-Encoding": "gzip"}
    response = await partner.http.post(
        "/oauth2/token", content=form, headers=headers, auth=(partner.key, partner.secret)
    )
    assert (response.status_code, response.headers["accept-encoding"]) == (415, "identity")


@pytest.mark.parametrize("coding", ["Identity", "", "UTF-8", "utf8"])
async def test_identity_or_charset_content_encoding_is_accepted(
    partner: Partner, coding: str
) -> None:
    response = await post(partner, "xapi", text().encode(), {"Content-Encoding": coding})
    assert response.status_code == 200
