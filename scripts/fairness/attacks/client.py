"""What attacks share: the target, connections from another address, repetition.

Attacks connect from 127.0.0.2, so that limits per address tell them from the victim, which connects
from 127.0.0.1.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx

from scripts.fairness.victim import Client

ATTACKER_ADDRESS = "127.0.0.2"
MIB = 2**20
_PAUSE = 0.05


@dataclass(frozen=True, slots=True)
class Target(Client):
    """The attacking partner: its client, its reporting role, and a token of its operator."""

    reader_dsn: str
    operator_token: str

    @property
    def statements(self) -> str:
        return f"/v1/partners/{self.partner}/statements"


Attack = Callable[[Target], Coroutine[Any, Any, None]]


async def send(target: Target, head: bytes, chunks: int, chunk: bytes, pause: float) -> None:
    """Sends a head and then chunks of a body, and waits for the end of the connection."""
    reader, writer = await connect(target)
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


async def connect(target: Target) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    address = urlsplit(target.url)
    return await asyncio.open_connection(
        address.hostname, address.port, local_addr=(ATTACKER_ADDRESS, 0)
    )


def request_head(method: str, path: str, headers: Mapping[str, str]) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: lrs.example"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


async def repeat(tasks: int, action: Callable[[], Awaitable[object]]) -> None:
    """Runs the action in so many tasks, again and again."""

    async def loop() -> None:
        while True:
            with suppress(OSError, httpx.HTTPError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await action()
            await asyncio.sleep(_PAUSE)

    await asyncio.gather(*(loop() for _ in range(tasks)))


def http(target: Target) -> httpx.AsyncClient:
    transport = httpx.AsyncHTTPTransport(
        local_address=ATTACKER_ADDRESS, limits=httpx.Limits(max_connections=None)
    )
    return httpx.AsyncClient(
        base_url=target.url, headers=target.headers, timeout=60, transport=transport
    )


async def post_bodies(target: Target, path: str, body: bytes, tasks: int = 8) -> None:
    async with http(target) as client:
        headers = {"Content-Type": "application/json"}
        await repeat(tasks, partial(client.post, path, content=body, headers=headers))
