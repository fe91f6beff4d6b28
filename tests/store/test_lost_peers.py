"""A server that vanishes in the middle of a transaction does not freeze the others."""

from __future__ import annotations

import socket
import time
from typing import Any

import asyncpg
import pytest

from lrs.store import postgres
from lrs.store.statements import insert
from tests.support.database_proxy import database_proxy
from tests.support.partners import Partner
from tests.support.statements import new_id, prepared, statement


@pytest.mark.slow
async def test_silent_writer_does_not_freeze_other_servers(
    partner: Partner, database_url: str
) -> None:
    """Its statement is rolled back; the same id, and lists, are free again."""
    sent = statement(id=new_id())
    async with (
        database_proxy(database_url) as proxy,
        postgres.open_database(proxy.url, idle_transaction_timeout=0.5) as vanishing,
        vanishing.writers.acquire() as connection,
    ):
        await connection.execute("begin")
        await insert.insert_new(connection, partner.partner_id, [prepared(sent)])
        proxy.silence()
        began = time.monotonic()
        response = await partner.send(sent)
        assert response.status_code == 200, response.text
        response = await partner.get()
        assert [item["id"] for item in response.json()["statements"]] == [sent["id"]]
        assert time.monotonic() - began < 5


async def test_client_keeps_tcp_connections_alive(database_url: str) -> None:
    async with (
        database_proxy(database_url) as proxy,
        postgres.open_admin_database(proxy.url) as database,
        database.readers.acquire() as connection,
    ):
        transport: Any = connection._con._transport
        peer: socket.socket = transport.get_extra_info("socket")
        assert peer.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 5


@pytest.mark.parametrize("pool", ["writers", "readers", "lists", "admin", "projector"])
async def test_session_ends_an_idle_transaction(database_url: str, pool: str) -> None:
    opened = {
        "admin": postgres.open_admin_database,
        "projector": postgres.open_projector_database,
    }.get(pool, postgres.open_database)
    async with opened(database_url) as database:
        connections: asyncpg.Pool = getattr(database, pool, database.readers)
        timeout = await connections.fetchval("show idle_in_transaction_session_timeout")
    assert timeout == ("10s" if pool == "writers" else "1min")
