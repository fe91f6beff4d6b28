"""A small LRS behind a real socket that pages as a test tells it, also wrongly."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import orjson

from tests.support.statements import new_id, statement

START = datetime(2026, 1, 1, tzinfo=UTC)


def stored_text(time: datetime) -> str:
    return time.isoformat(timespec="microseconds").replace("+00:00", "Z")


def stored_statement(time: datetime, **members: Any) -> dict[str, Any]:
    """A statement as another LRS returns it."""
    text = stored_text(time)
    authority = {"objectType": "Agent", "mbox": "mailto:lrs@source.example"}
    return statement(
        id=new_id(), stored=text, timestamp=text, authority=authority, version="1.0.0", **members
    )


@dataclass
class Request:
    path: str
    params: dict[str, str]
    headers: dict[str, str]


@dataclass
class Reply:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class ScriptedSource:
    """`statements` in any order; `answer` may replace the reply of a request.

    The next `aborted_replies` end in the middle.
    """

    statements: list[dict[str, Any]] = field(default_factory=list)
    path: str = "/xapi/statements"
    page_size: int = 3
    descending: bool = False
    through: datetime | None = None
    more_base: str = ""
    answer: Callable[[Request], Reply | None] = lambda _: None
    requests: list[Request] = field(default_factory=list)
    aborted_replies: int = 0
    active: int = 0
    most_active: int = 0
    url: str = ""
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    _reached_at: int = sys.maxsize

    def notify_after(self, requests: int) -> None:
        """Sets `reached` after that many more requests."""
        self.reached = asyncio.Event()
        self._reached_at = len(self.requests) + requests

    def reply(self, request: Request) -> Reply:
        scripted = self.answer(request)
        if scripted is not None:
            return scripted
        if request.path.rstrip("/") != self.path:
            return Reply(404, b"not here")
        if "voidedStatementId" in request.params or "statementId" in request.params:
            return Reply(404)
        return self.page(request.params)

    def page(self, params: dict[str, str], more: str | None = None) -> Reply:
        items = sorted(self.statements, key=lambda item: item["stored"], reverse=self.descending)
        if "since" in params:  # compared at milliseconds, as some do
            items = [item for item in items if item["stored"][:23] > params["since"][:23]]
        if "until" in params:
            items = [item for item in items if item["stored"][:23] <= params["until"][:23]]
        start = int(params.get("from", "0"))
        limit = min(int(params.get("limit", "100")), self.page_size)
        chosen = items[start : start + limit]
        if more is None and start + limit < len(items):
            query = urlencode({**params, "from": str(start + limit)})
            more = f"{self.more_base}{self.path}?{query}"
        body = orjson.dumps({"statements": chosen, "more": more or ""})
        headers = {"Content-Type": "application/json"}
        if self.through:
            headers["X-Experience-API-Consistent-Through"] = stored_text(self.through)
        return Reply(200, body, headers)

    def pages(self) -> list[Request]:
        """The requests for pages, without those that look for the resource."""
        return [
            item
            for item in self.requests
            if item.path.rstrip("/") == self.path and item.params.get("limit") != "1"
        ]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.active += 1
        self.most_active = max(self.most_active, self.active)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            line, *fields = head.split("\r\n")
            target = urlsplit(line.split()[1])
            headers = dict(item.lower().split(": ", 1) for item in fields if ": " in item)
            params = {name: values[0] for name, values in parse_qs(target.query).items()}
            request = Request(target.path, params, headers)
            self.requests.append(request)
            if len(self.requests) >= self._reached_at:
                self.reached.set()
            reply = self.reply(request)
            fields = [f"{name}: {value}" for name, value in reply.headers.items()]
            fields += [f"Content-Length: {len(reply.body)}", "Connection: close"]
            writer.write(f"HTTP/1.1 {reply.status} X\r\n".encode())
            body = reply.body
            if self.aborted_replies:
                self.aborted_replies -= 1
                body = body[: len(body) // 2]
            writer.write(("\r\n".join(fields) + "\r\n\r\n").encode() + body)
            await writer.drain()
        finally:
            self.active -= 1
            writer.close()


@asynccontextmanager
async def serving(source: ScriptedSource) -> AsyncIterator[ScriptedSource]:
    server = await asyncio.start_server(source.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    source.url = f"http://127.0.0.1:{port}{source.path.removesuffix('/statements')}"
    async with server:
        yield source


def history(count: int, step: timedelta = timedelta(seconds=1)) -> list[dict[str, Any]]:
    """Statements a step apart."""
    return [stored_statement(START + step * index) for index in range(count)]
