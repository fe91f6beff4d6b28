"""Applications and raw HTTP requests for the load shedding tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

import httpx
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.server import ServerState

from lrs.errors import LRSError
from lrs.observability.resource_usage import ResourceUsage
from lrs.server.http_protocol import LimitedHttpProtocol
from lrs.server.load_shedding import LoadShedder
from lrs.server.worker_limits import Limits

POST = b"POST /slowly HTTP/1.1\r\nHost: x\r\n"
LAST = POST + b"Connection: close\r\nContent-Length: 0\r\n\r\n"


class Work:
    """An application whose requests end when the test says so; it counts them.

    The Authorization header names the credential, and before a slash the partner.
    """

    def __init__(self) -> None:
        self.release = asyncio.Event()
        self.started = 0
        self.running = 0
        self.max_running = 0
        self.received = 0
        self.usage: list[ResourceUsage] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.started += 1
        try:
            if key := dict(scope["headers"]).get(b"authorization", b"").decode():
                scope["admission"].identify(key, key.partition("/")[0])
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return
                self.received += len(message.get("body", b""))
                more = message.get("more_body", False)
        except LRSError as error:
            await respond(send, error.status)
            return
        self.running += 1
        self.usage = scope["admission"].usage
        self.max_running = max(self.max_running, self.running)
        await asyncio.sleep(0)
        await self.release.wait()
        self.running -= 1
        await respond(send, 200)


async def respond(send: Send, status: int, body: bytes = b"") -> None:
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def serving(app: ASGIApp, limits: Limits | None = None) -> AsyncIterator[int]:
    """The application behind a load shedder; yields the port."""
    shedder = LoadShedder(app, limits)
    config = uvicorn.Config(shedder, log_config=None, lifespan="off", proxy_headers=False)
    config.load()
    state = ServerState()
    connection = partial(LimitedHttpProtocol, config, state, {})
    server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
    for open_connection in list(state.connections):
        open_connection.transport.abort()
    with suppress(TimeoutError):
        await until(lambda: not state.tasks, seconds=0.5)


@asynccontextmanager
async def client(app: ASGIApp, limits: Limits | None = None) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(app, limits) as port:
        unlimited = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", limits=unlimited) as http:
            yield http


async def until(condition: Callable[[], bool], seconds: float = 5) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def answer_to(port: int, *pieces: bytes, pause: float = 0.05) -> bytes:
    """The response to the pieces, until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    response = b""
    try:
        async with asyncio.timeout(5):
            for piece in pieces:
                writer.write(piece)
                await asyncio.sleep(pause)
            while more := await reader.read(65_536):
                response += more
    except ConnectionError:
        pass
    finally:
        writer.close()
    return response


@asynccontextmanager
async def holding(port: int, *starts: bytes) -> AsyncIterator[list[asyncio.StreamReader]]:
    """Connections that have sent these bytes and stay open."""
    opened = [await asyncio.open_connection("127.0.0.1", port) for _ in starts]
    for (_, writer), start in zip(opened, starts, strict=True):
        writer.write(start)
    try:
        yield [reader for reader, _ in opened]
    finally:
        for _, writer in opened:
            writer.close()
