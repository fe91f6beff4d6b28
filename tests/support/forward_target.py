"""An LRS, or what answers instead of one, as the target of a forwarding pipe."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

from lrs.xapi import multipart

Statement = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """Header names are in lower case; `query` has the first value of each parameter."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def parts(self) -> list[multipart.Part]:
        """The parts of a multipart body."""
        return multipart.split(self.body, multipart.boundary(self.headers["content-type"]))

    @property
    def statements(self) -> list[Statement]:
        is_multipart = self.headers["content-type"].startswith("multipart/")
        body = self.parts[0].content if is_multipart else self.body
        value = orjson.loads(body)
        return value if isinstance(value, list) else [value]


@dataclass(frozen=True, slots=True)
class Reply:
    """`status` None: the connection is reset."""

    status: int | None = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


Script = Callable[[Request], Reply | None]
"""The reply to a POST; None: the statements are stored."""


@dataclass
class Target:
    """Stores what its script does not refuse, once by id; has the requests that it received.

    The connections of the next `lost_replies` are reset after the requests are processed.
    """

    script: Script = lambda request: None
    url: str = ""
    about: tuple[str, ...] | None = ("1.0.3", "2.0.0")
    stored: dict[str, Statement] = field(default_factory=dict)
    posts: list[Request] = field(default_factory=list)
    reads: list[Request] = field(default_factory=list)
    lost_replies: int = 0
    open_requests: int = 0
    most_open_requests: int = 0
    posted: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def wait_for_posts(self, count: int) -> None:
        """Until it has received so many requests."""
        async with self.posted:
            await self.posted.wait_for(lambda: len(self.posts) >= count)

    def reply(self, request: Request) -> Reply:
        if request.path.endswith("/about"):
            if self.about is None:
                return Reply(404)
            return Reply(200, orjson.dumps({"version": self.about}))
        if request.method == "GET":
            self.reads.append(request)
            statement = self.stored.get(request.query.get("statementId", ""))
            return Reply(200, orjson.dumps(statement)) if statement else Reply(404)
        self.posts.append(request)
        if (scripted := self.script(request)) is not None:
            return scripted
        for statement in request.statements:
            self.stored.setdefault(statement.get("id", str(len(self.stored))), statement)
        return Reply(200, orjson.dumps([item.get("id") for item in request.statements]))


@asynccontextmanager
async def serving(script: Script = lambda request: None) -> AsyncIterator[Target]:
    """A target on a free port."""
    target = Target(script)
    connections: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.add(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                request = await _read(reader)
                target.open_requests += 1
                target.most_open_requests = max(target.most_open_requests, target.open_requests)
                reply = target.reply(request)
                target.open_requests -= 1
                async with target.posted:
                    target.posted.notify_all()
                if reply.status is None or target.lost_replies:
                    target.lost_replies = max(target.lost_replies - 1, 0)
                    writer.transport.abort()
                    return
                writer.write(_encoded(reply))
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    target.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/xapi"
    try:
        yield target
    finally:
        server.close()
        for connection in connections:
            connection.transport.abort()
        await server.wait_closed()


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    method, uri, _ = head[0].split(" ", 2)
    headers = dict(line.split(": ", 1) for line in head[1:] if line)
    headers = {name.lower(): value for name, value in headers.items()}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    parts = urlsplit(uri)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    return Request(method, parts.path, query, headers, body)


def _encoded(reply: Reply) -> bytes:
    headers = {"Content-Length": str(len(reply.body)), **reply.headers}
    lines = [f"HTTP/1.1 {reply.status} Status"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + reply.body
