"""Attacks with bodies that are large, or expensive to read."""

from __future__ import annotations

import gzip
import hashlib
import json
from functools import partial
from urllib.parse import quote

from scripts.fairness.attacks.client import (
    MIB,
    Target,
    http,
    post_bodies,
    repeat,
    request_head,
    send,
)
from scripts.fairness.victim import statement

_JSON = {"Content-Type": "application/json"}


async def slow_uploads(target: Target) -> None:
    headers = {**target.headers, "Content-Type": "application/json"}
    head = request_head("POST", "/xapi/statements", {**headers, "Content-Length": str(16 * MIB)})
    await repeat(8, partial(send, target, head, 10_000, b" " * 16_384, 0.25))


async def many_uploads(target: Target) -> None:
    await post_bodies(target, "/xapi/statements", b'["%b"]' % (b"x" * (15 * MIB)))


async def many_items(target: Target) -> None:
    """A body of millions of small items."""
    await post_bodies(target, "/xapi/statements", b"[%b0]" % (b"0," * (7 * MIB)))


async def deep_items(target: Target) -> None:
    """A statement of many small members."""
    members = ",".join(f'"http://e.org/{number}":0' for number in range(40_000))
    body = json.dumps(statement("mallory")).encode()[:-1]
    body += b',"context":{"extensions":{%b}}}' % members.encode()
    await post_bodies(target, "/xapi/statements", body)


async def large_documents(target: Target) -> None:
    """Merges of JSON documents that are as large as the server accepts."""
    agent = quote(json.dumps({"mbox": "mailto:mallory@example.com"}))
    path = f"/xapi/activities/state?activityId=http://e.org/a&stateId=large&agent={agent}"
    for size in (14 * MIB, MIB, MIB // 4):
        members = ",".join(
            f'"{number:08}":{number:08}' for number in range(10**7, 10**7 + size // 20)
        )
        body = b"{%b}" % members.encode()
        async with http(target) as client:
            headers = {"Content-Type": "application/json"}
            response = await client.post(path, content=body, headers=headers)
        if response.status_code < 400:
            break
    await post_bodies(target, path, body, tasks=4)


def multipart(statements: bytes, contents: list[bytes]) -> bytes:
    parts = [b"--b\r\nContent-Type: application/json\r\n\r\n" + statements]
    for content in contents:
        digest = hashlib.sha256(content).hexdigest().encode()
        parts.append(
            b"--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary"
            b"\r\nX-Experience-API-Hash: " + digest + b"\r\n\r\n" + content
        )
    return b"\r\n".join([*parts, b"--b--\r\n"])


async def deep_arrays(target: Target) -> None:
    """A statement with half a million levels of nesting, and one with as many as are accepted."""
    for depth in (500_000, 90):
        value = b"[" * depth + b"]" * depth
        body = json.dumps(statement("mallory")).encode()[:-1]
        body += b',"result":{"extensions":{"http://e.org/deep":%b}}}' % value
        async with http(target) as client:
            await client.post(target.statements, content=body, headers=_JSON)
    await post_bodies(target, target.statements, body, tasks=16)


async def compressed_bodies(target: Target) -> None:
    """Small gzip bodies of 15 MiB, refused for the size of their item."""
    body = gzip.compress(b'["%b"]' % (b"x" * (15 * MIB)))
    headers = {**_JSON, "Content-Encoding": "gzip"}
    async with http(target) as client:
        await repeat(16, partial(client.post, "/xapi/statements", content=body, headers=headers))


async def many_attachments(target: Target) -> None:
    """A statement with 1,000 attachments of 8 KB in one multipart body."""
    headers = {"Content-Type": "multipart/mixed; boundary=b"}
    async with http(target) as client:

        async def once() -> None:
            item = statement("mallory")
            contents = [f"{item['id']} {number} ".encode() * 200 for number in range(1000)]
            attachments = [
                {
                    "usageType": "http://e.org/usage",
                    "display": {"en": "x"},
                    "contentType": "application/octet-stream",
                    "length": len(content),
                    "sha2": hashlib.sha256(content).hexdigest(),
                }
                for content in contents
            ]
            body = multipart(json.dumps({**item, "attachments": attachments}).encode(), contents)
            await client.post("/xapi/statements", content=body, headers=headers)

        await repeat(4, once)


async def document_flood(target: Target) -> None:
    """State documents of 200 KB on 64 connections."""
    agent = quote(json.dumps({"mbox": "mailto:mallory@example.com"}))
    body = b"x" * 200_000
    async with http(target) as client:
        numbers = iter(range(10**9))

        async def once() -> None:
            state = f"{next(numbers) % 500}"
            path = f"/xapi/activities/state?activityId=http://e.org/a&stateId={state}&agent={agent}"
            await client.put(path, content=body, headers={"Content-Type": "text/plain"})

        await repeat(64, once)
