"""Malformed HTTP and Upgrade requests on a real connection."""

from __future__ import annotations

import asyncio
import base64
import json

import httpx
import pytest

from tests.support.attachments import attachment_of, statement_with, stored
from tests.support.load_shedding import answer_to
from tests.support.partners import Partner

POST = b"POST /oauth2/token HTTP/1.1\r\nHost: x\r\n"
RAW = {
    "a byte in the path": b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
    "UTF-8 in the path": "GET /ü HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
    "UTF-8 in the query": "GET /xapi/statements?ü=ü HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
    "a NUL in the path": b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
    "a NUL in a header": b"GET / HTTP/1.1\r\nHost: x\r\nX: \x00\r\n\r\n",
    "bytes in a header": b"GET /xapi/statements HTTP/1.1\r\nHost: x\r\nX-Request-ID: \xff\r\n\r\n",
    "no path": b"GET  HTTP/1.1\r\nHost: x\r\n\r\n",
    "a whole URL": b"GET http://other/healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    "a star": b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    "another protocol": b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
    "an unknown method": b"BREW /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    "an upgrade": b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    "not HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 50 + b"\r\n\r\n",
    "two lengths": POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "a bad length": POST + b"Content-Length: -1\r\n\r\n",
    "length and chunks": POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a bad chunk": POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "many headers": b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 5000 + b"\r\n",
    "a long header": b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 200_000 + b"\r\n\r\n",
    "a long path": b"GET /" + b"y" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "a body that ends early": POST + b"Content-Length: 99\r\n\r\nabc",
}


@pytest.mark.parametrize("request_", RAW.values(), ids=RAW)
async def test_malformed_request_is_refused_and_the_server_survives(
    server: str, request_: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    host, port = server.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(request_)
        writer.write_eof()
        answer = await asyncio.wait_for(reader.read(), 5)
    except OSError:
        answer = b""
    finally:
        writer.close()
    if answer:
        assert answer.startswith(b"HTTP/1.1 ")
        assert int(answer.split()[1]) < 500, answer
    async with httpx.AsyncClient(base_url=server) as http:
        assert (await http.get("/healthz")).status_code == 200
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


REFUSED = {
    "no Host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "two Host fields": b"GET /healthz HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
    "two Host fields in HTTP/1.0": b"GET /healthz HTTP/1.0\r\nHost: x\r\nhost: y\r\n\r\n",
    "invalid Host": b"GET /healthz HTTP/1.1\r\nHost: x/y z\r\n\r\n",
    "a list as Host": b"GET /healthz HTTP/1.1\r\nHost: x, y\r\n\r\n",
    "user information in Host": b"GET /healthz HTTP/1.1\r\nHost: a@b\r\n\r\n",
    "gzip, chunked": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "gzip and chunked": POST
    + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "chunked in two fields": POST
    + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "identity": POST + b"Transfer-Encoding: identity\r\n\r\n",
    "chunked in HTTP/1.0": POST.replace(b"1.1", b"1.0")
    + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("request_", REFUSED.values(), ids=REFUSED)
async def test_ambiguous_header_field_returns_400(server: str, request_: bytes) -> None:
    """Otherwise a proxy and the server could see different requests."""
    answer = await answer_to(int(server.rpartition(":")[2]), request_, pause=0)
    assert answer.startswith(b"HTTP/1.1 400 "), answer
    assert answer.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /healthz HTTP/1.0\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: [2001:db8::1]:8080\r\nConnection: close\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n",
        b"POST /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n"
        b"Connection: close\r\n\r\n0\r\n\r\n",
    ],
)
async def test_valid_header_field_is_accepted(server: str, request_: bytes) -> None:
    answer = await answer_to(int(server.rpartition(":")[2]), request_, pause=0)
    assert answer.split()[1] in (b"200", b"405"), answer


CUTS = {"at once": [], "the body later": [b"\r\n\r\n"], "in pieces": [b"Upg", b": h2", b"\r\n\r"]}


@pytest.mark.parametrize("before", [b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"])
@pytest.mark.parametrize("after", [b"", b"\r\nmore than it said"])
@pytest.mark.parametrize("cuts", CUTS.values(), ids=CUTS)
async def test_upgrade_request_keeps_its_body(
    server: str, partner: Partner, cuts: list[bytes], before: bytes, after: bytes
) -> None:
    """Java's HttpClient sends Upgrade: h2c by default."""
    host, port = server.removeprefix("http://").split(":")
    secret = base64.b64encode(f"{partner.key}:{partner.secret}".encode()).decode()
    form = b"grant_type=client_credentials"
    head = (
        f"POST /oauth2/token HTTP/1.1\r\nHost: {host}\r\nAuthorization: Basic {secret}\r\n"
        "Connection: close, Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAAA\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(form)}\r\n\r\n"
    )
    pieces = [before + head.encode() + form + after]
    for cut in cuts:
        start, _, rest = pieces.pop().rpartition(cut)
        pieces += [start + cut, rest]
    reader, writer = await asyncio.open_connection(host, int(port))
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.05 if cuts else 0)
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    assert answer.count(b"HTTP/1.1 200 ") == (2 if before else 1), answer
    assert b"access_token" in answer


async def test_many_pipelined_upgrade_requests_are_ignored(server: str) -> None:
    host, port = server.removeprefix("http://").split(":")
    wish = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(wish * 2_000 + b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    assert answer.count(b"HTTP/1.1 200 OK") == 2_001


STATE = "/xapi/activities/state?stateId=zuständig&activityId=http://example.com/übung&agent="
AGENT = '{"name":"Zoë","mbox":"mailto:zoe@example.com"}'


@pytest.mark.parametrize("cut", [None, "zust", "\xe4ndig", "HTTP", "\r\n"])
async def test_utf8_in_the_request_line_is_the_percent_encoded_url(
    server: str, partner: Partner, cut: str | None
) -> None:
    """Clients that do not encode a URL send UTF-8, also in several packets."""
    port = int(server.rpartition(":")[2])
    secret = base64.b64encode(f"{partner.key}:{partner.secret}".encode()).decode()
    fields = (
        f" HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {secret}\r\nX-Experience-API-Version: 1.0.3"
        "\r\nContent-Type: text/plain; charset=utf-8\r\n"
    )
    content = "ä é\r\nü"
    put = (
        f"PUT {STATE}{AGENT}{fields}Content-Length: {len(content.encode())}\r\n\r\n{content}"
    ).encode()
    position = put.index((cut or "PUT").encode())
    if cut and not cut.isascii():
        position += 1  # within a character
    raw_get = f"GET {STATE}{AGENT}{fields}Connection: close\r\n\r\n".encode()
    answer = await answer_to(port, put[:position], put[position:], raw_get)
    assert answer.startswith(b"HTTP/1.1 204 "), answer
    assert answer.endswith(f"\r\n\r\n{content}".encode()), answer
    async with httpx.AsyncClient(base_url=server) as http:
        encoded = await http.get(
            f"{STATE}{AGENT}",
            headers={"X-Experience-API-Version": "1.0.3"},
            auth=(partner.key, partner.secret),
        )
    assert encoded.text == content


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size", [13, 97, 10_000])
async def test_pipelined_requests_with_utf8_in_their_request_lines_are_answered(
    server: str, partner: Partner, size: int, *, chunked: bool
) -> None:
    port = int(server.rpartition(":")[2])
    secret = base64.b64encode(f"{partner.key}:{partner.secret}".encode()).decode()
    fields = (
        f" HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {secret}\r\nX-Experience-API-Version: 1.0.3"
        "\r\nContent-Type: text/plain; charset=utf-8\r\n"
    )
    content = "PUT ä é\r\n\r\nGET /ü HTTP/1.1\r\n\r\n".encode()
    length = f"Content-Length: {len(content)}\r\n\r\n"
    body = length.encode() + content
    if chunked:
        chunk = b"%x\r\n%b\r\n" % (len(content), content)
        body = b"Transfer-Encoding: chunked\r\n\r\n" + chunk + b"0\r\n\r\n"
    put, get = f"PUT {STATE}{AGENT}{fields}".encode(), f"GET {STATE}{AGENT}{fields}".encode()
    last = get + b"Connection: close\r\n\r\n"
    data = put + body + get + b"\r\n" + put + body + b"\r\n" + last
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    answer = await answer_to(port, *pieces, pause=0.003)
    assert answer.count(b"HTTP/1.1 204 ") == 2, answer
    assert answer.count(b"HTTP/1.1 200 ") == 2, answer
    assert answer.count(b"\r\n\r\n" + content) == 2


async def test_body_after_a_pipelined_request_keeps_its_bytes(
    server: str, partner: Partner
) -> None:
    port = int(server.rpartition(":")[2])
    secret = base64.b64encode(f"{partner.key}:{partner.secret}".encode()).decode()
    url = "/xapi/activities/state?stateId=s&activityId=http://a.b/c&agent=%7B%22mbox%22:%22mailto:a@b.c%22%7D"
    fields = f"Host: x\r\nAuthorization: Basic {secret}\r\nX-Experience-API-Version: 1.0.3\r\n"
    content = "äöü\nß".encode()
    first = f"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nPUT {url} HTTP/1.1\r\n{fields}".encode()
    rest = b"Content-Length: %d\r\n\r\n" % len(content)
    get = f"GET {url} HTTP/1.1\r\n{fields}Connection: close\r\n\r\n".encode()
    for pieces in (
        (first, rest, content),
        (first + rest, content),
        (first + rest + content[:1], content[1:]),
    ):
        answer = await answer_to(port, *pieces, get)
        assert answer.count(b"HTTP/1.1 204 ") == 1
        assert answer.endswith(b"\r\n\r\n" + content), answer


@pytest.mark.parametrize("query", ["attachments=true", "limit=1"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_http_1_0_response_has_no_chunks(
    server: str, partner: Partner, method: str, query: str
) -> None:
    content = bytes(range(256)) * 1_000
    await stored(partner, statement_with(attachment_of(content)), content)
    secret = base64.b64encode(f"{partner.key}:{partner.secret}".encode()).decode()
    request = (
        f"{method} /xapi/statements?{query} HTTP/1.0\r\nAuthorization: Basic {secret}\r\n"
        "X-Experience-API-Version: 1.0.3\r\n\r\n"
    )
    answer = await answer_to(int(server.rpartition(":")[2]), request.encode(), pause=0)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"transfer-encoding" not in head
    assert b"connection: close" in head
    if method == "HEAD":
        assert body == b""
    elif query == "limit=1":
        assert len(json.loads(body)["statements"]) == 1
    else:
        boundary = head.partition(b"boundary=")[2].split(b"\r\n")[0]
        assert body.startswith(b"--" + boundary)
        assert body.endswith(content + b"\r\n--" + boundary + b"--")
