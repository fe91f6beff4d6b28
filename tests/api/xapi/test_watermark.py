"""The watermark: stuck transactions, hidden writers, the Consistent-Through header."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from datetime import UTC, datetime, timedelta

import asyncpg
import httpx
import pytest

from lrs.api.services import Services
from lrs.store.postgres import WRITER
from lrs.store.statements import insert as store
from tests.support.pagination import HEADER_FORM, THROUGH, bound, fresh, send, stored
from tests.support.partners import Partner
from tests.support.statements import XAPI, new_id, prepared, statement

# Stuck transactions


async def test_list_wait_for_an_open_transaction_times_out(
    partner: Partner, slow_writer: asyncpg.Connection
) -> None:
    """The watermark and all listed statements are before the open transaction."""
    await send(partner, early := fresh(1))
    (late,) = fresh(1)
    async with slow_writer.transaction():
        await store.insert_new(slow_writer, partner.partner_id, [prepared(late)])
        await send(partner, meanwhile := fresh(1))
        began = asyncio.get_running_loop().time()
        response = await partner.get()
        assert asyncio.get_running_loop().time() - began < 1
        assert [item["id"] for item in response.json()["statements"]] == [early[0]["id"]]
        through = response.headers[THROUGH]
    rest = await partner.all(since=through, ascending="true")
    assert {item["id"] for item in rest} == {late["id"], meanwhile[0]["id"]}
    assert min(map(stored, rest)) > datetime.fromisoformat(through)


async def test_list_waits_for_a_transaction_that_commits_soon(
    partner: Partner, slow_writer: asyncpg.Connection
) -> None:
    (late,) = fresh(1)
    transaction = slow_writer.transaction()
    await transaction.start()
    await store.insert_new(slow_writer, partner.partner_id, [prepared(late)])
    asking = asyncio.create_task(partner.get())
    await asyncio.sleep(0.08)
    assert not asking.done()
    await transaction.commit()
    response = await asking
    assert [item["id"] for item in response.json()["statements"]] == [late["id"]]


async def test_rolled_back_transaction_does_not_hold_back_the_watermark(
    partner: Partner, slow_writer: asyncpg.Connection
) -> None:
    transaction = slow_writer.transaction()
    await transaction.start()
    await store.insert_new(slow_writer, partner.partner_id, [prepared(fresh(1)[0])])
    await transaction.rollback()
    await send(partner, sent := fresh(1))
    assert [item["id"] for item in await partner.all()] == [sent[0]["id"]]


async def end(connection: asyncpg.Connection, services: Services) -> None:
    """Closes a connection, and waits until PostgreSQL removed it."""
    if connection.is_closed():
        return
    pid = connection.get_server_pid()
    await connection.close()
    alive = "select exists (select from pg_stat_activity where pid = $1)"
    for _ in range(500):
        if not await services.database.readers.fetchval(alive, pid):
            return
        await asyncio.sleep(0.01)


@pytest.fixture
async def other_role(database_url: str, services: Services) -> AsyncIterator[asyncpg.Connection]:
    """A writer that connects as another role, hidden from the role of the server."""
    try:
        connection = await asyncpg.connect(
            database_url, user="postgres", server_settings={"application_name": WRITER}
        )
    except asyncpg.PostgresError:
        pytest.skip("this database has no superuser for us")
    yield connection
    await end(connection, services)


async def test_list_with_hidden_writers_returns_503(
    partner: Partner, services: Services, other_role: asyncpg.Connection
) -> None:
    """Otherwise the list could claim to be complete without being so."""
    role = await services.database.readers.fetchval("select current_user")
    await other_role.execute(f"revoke pg_read_all_stats from {role}")
    try:
        refused = await partner.get()
    finally:
        await other_role.execute(f"grant pg_read_all_stats to {role}")
    assert refused.status_code == 503
    assert "same role" in refused.json()["detail"]
    assert THROUGH not in refused.headers
    await end(other_role, services)
    assert (await partner.get()).status_code == 200


async def test_list_with_a_writer_that_changes_its_role_returns_503(
    partner: Partner,
    services: Services,
    slow_writer: asyncpg.Connection,
    other_role: asyncpg.Connection,
) -> None:
    role = await slow_writer.fetchval("select current_user")
    await other_role.execute(f"grant set on parameter track_activities to {role}")
    try:
        await slow_writer.execute("set track_activities = off")
    finally:
        await other_role.execute(f"revoke set on parameter track_activities from {role}")
        await end(other_role, services)
    refused = await partner.get()
    assert (refused.status_code, THROUGH in refused.headers) == (503, False)
    await end(slow_writer, services)
    assert (await partner.get()).status_code == 200


# Consistent-Through header


async def test_every_response_has_a_recent_watermark(partner: Partner) -> None:
    await send(partner, sent := fresh(1))
    basic = (partner.key, partner.secret)

    async def xapi(**params: str) -> httpx.Response:
        return await partner.http.get("/xapi/statements", params=params, headers=XAPI, auth=basic)

    requested: list[tuple[int, Awaitable[httpx.Response]]] = [
        (200, partner.get()),
        (200, partner.get(statementId=sent[0]["id"])),
        (404, partner.get(statementId=new_id())),
        (404, partner.get(voidedStatementId=sent[0]["id"])),
        (200, xapi()),
        (200, xapi(statementId=sent[0]["id"])),
        (404, xapi(statementId=new_id())),
        (400, xapi(limit="none")),
        (200, partner.xapi(statement())),
        (400, partner.xapi({})),
    ]
    for status, asking in requested:
        response = await asking
        assert response.status_code == status
        assert HEADER_FORM.fullmatch(response.headers[THROUGH])
        assert abs(datetime.now(UTC) - bound(response)) < timedelta(seconds=1)


async def test_watermark_covers_the_listed_statements(partner: Partner) -> None:
    await send(partner, fresh(3))
    response = await partner.get()
    assert all(stored(item) <= bound(response) for item in response.json()["statements"])
