"""A TCP proxy in front of PostgreSQL, which loses connections in the ways a network does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit, urlunsplit

Forward = Callable[[bytes], bool]


class DatabaseProxy:
    """Forwards between clients and PostgreSQL.

    While it `refuses`, new connections are closed. After `silence`, nothing is forwarded in either
    direction, and all connections stay open. A chunk of a client for which `lose_response` is true
    is forwarded; then the client's connection is closed once PostgreSQL has answered, without the
    response.
    """

    def __init__(self, url: str) -> None:
        self.url = ""
        self.lose_response: Forward = lambda _: False
        self.lost = 0
        self.refuses = False
        self._target = url
        self._speaks = asyncio.Event()
        self._speaks.set()
        self._tasks: set[asyncio.Task[None]] = set()

    def silence(self) -> None:
        self._speaks.clear()

    def speak(self) -> None:
        self._speaks.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        try:
            if not self.refuses:
                await self._forward(reader, writer)
        except asyncio.CancelledError:
            pass  # the proxy is closed; asyncio logs a cancelled task
        finally:
            writer.transport.abort()
            self._tasks.discard(task)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        responses, requests = await self._connect()
        losing = asyncio.Event()
        directions = [
            asyncio.create_task(self._send_requests(reader, requests, losing)),
            asyncio.create_task(self._send_answers(responses, writer, losing)),
        ]
        try:
            await asyncio.wait(directions, return_when="FIRST_COMPLETED")
        finally:
            for direction in directions:
                direction.cancel()
            await asyncio.gather(*directions, return_exceptions=True)
            requests.transport.abort()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        parts = urlsplit(self._target)
        query = parse_qs(parts.query)
        if "host" in query:
            path = f"{query['host'][0]}/.s.PGSQL.{query['port'][0]}"
            return await asyncio.open_unix_connection(path)
        return await asyncio.open_connection(parts.hostname, parts.port or 5432)

    async def _send_requests(
        self, reader: asyncio.StreamReader, requests: asyncio.StreamWriter, losing: asyncio.Event
    ) -> None:
        while chunk := await reader.read(65_536):
            await self._speaks.wait()
            if self.lose_response(chunk):
                self.lost += 1
                losing.set()
            requests.write(chunk)

    async def _send_answers(
        self, responses: asyncio.StreamReader, writer: asyncio.StreamWriter, losing: asyncio.Event
    ) -> None:
        while chunk := await responses.read(65_536):
            await self._speaks.wait()
            if losing.is_set():
                return
            writer.write(chunk)

    async def close(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # the aborted transports close


@asynccontextmanager
async def database_proxy(url: str) -> AsyncIterator[DatabaseProxy]:
    """A proxy in front of the database at `url`; its own URL is `proxy.url`."""
    proxy = DatabaseProxy(url)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    parts = urlsplit(url)
    user = parts.username or "lrs"
    password = f":{parts.password}" if parts.password else ""
    proxy.url = urlunsplit(parts._replace(netloc=f"{user}{password}@127.0.0.1:{port}", query=""))
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
