"""What a request leaves of StatementRefs, and how the background resolves it."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import httpx
import pytest

from lrs.api.services import Services
from lrs.ingest import write
from lrs.observability import metrics
from lrs.store.postgres import Database
from lrs.store.statements import insert, reference_backlog, references
from lrs.store.statements.reference_backlog import ReferenceBacklog
from lrs.store.statements.reference_chains import MAX_INHERITED_KEYS
from tests.support.partners import Partner, new_partner
from tests.support.references import (
    READ,
    count_backlog,
    count_pending,
    list_ids,
    reading,
    referring,
    send,
    work_off_backlog,
)
from tests.support.statements import new_id, prepared, statement

Json = dict[str, Any]


def with_activities(statement_id: str, count: int) -> Json:
    activities = [{"id": f"http://example.com/{number}"} for number in range(count)]
    return statement(
        id=statement_id, verb={"id": READ}, context={"contextActivities": {"other": activities}}
    )


async def count_entries(services: Services, partner: Partner) -> int:
    """The number of index entries of the statements of a partner that refer to others."""
    count: int = await services.database.readers.fetchval(
        """
        select count(*) from index_entry
        join statement_reference using (partner_id, sequence)
        where partner_id = $1
        """,
        partner.partner_id,
    )
    return count


# Bounds


@pytest.mark.parametrize("order", ["target first", "references first", "one batch"])
async def test_large_target_passes_on_a_bounded_number_of_keys(
    partner: Partner, services: Services, order: str
) -> None:
    """The verb, the actor and the object among them."""
    target = new_id()
    large, few = with_activities(target, 2_000), [referring(new_id(), target) for _ in range(20)]
    batches = {
        "target first": [[large], few],
        "references first": [few, [large]],
        "one batch": [[*few, large]],
    }
    for batch in batches[order]:
        assert (await partner.xapi(batch)).status_code == 200
    assert await count_pending(services, partner) == 0
    own = 1  # the actor is a column, the authority too
    assert await count_entries(services, partner) <= 20 * (MAX_INHERITED_KEYS + own)
    ids = sorted([target, *(item["id"] for item in few)])
    activity = "http://example.com/course/1"
    assert sorted(await list_ids(partner, verb=READ)) == ids
    assert sorted(await list_ids(partner, activity=activity)) == ids


async def test_references_beyond_the_bounds_of_a_request_are_resolved_in_the_background(
    partner: Partner, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(references, "MAX_REFERENCES", 5)
    monkeypatch.setattr(reference_backlog, "_REFERENCES_PER_TRANSACTION", 4)
    read = new_id()
    await send(partner, *(referring(new_id(), read) for _ in range(15)))
    await send(partner, reading(read))
    assert await count_pending(services, partner) == 10
    assert await count_backlog(services, partner) == 1
    await work_off_backlog(services)
    assert await count_pending(services, partner) == 0
    assert await count_backlog(services, partner) == 0
    assert len(await list_ids(partner, verb=READ)) == 16


@pytest.mark.parametrize("target_first", [True, False])
async def test_keys_beyond_the_bounds_of_a_request_are_inherited_in_the_background(
    partner: Partner, services: Services, monkeypatch: pytest.MonkeyPatch, target_first: bool
) -> None:
    monkeypatch.setattr(references, "MAX_KEYS", 20)
    monkeypatch.setattr(references.load_inherited, "__defaults__", (20,))
    monkeypatch.setattr(references.resolve, "__defaults__", (20,))
    monkeypatch.setattr(write, "_MAX_INHERITED_KEYS", 20)
    read = new_id()
    batches = [[reading(read)], [referring(new_id(), read) for _ in range(40)]]
    for batch in batches if target_first else batches[::-1]:
        await send(partner, *batch)
    assert 0 < await count_pending(services, partner) < 40
    assert await count_backlog(services, partner) == 1
    await work_off_backlog(services)
    assert await count_pending(services, partner) == 0
    assert len(await list_ids(partner, verb=READ)) == 41


# Failures


@pytest.fixture
async def left(
    partner: Partner, services: Services, slow_writer: asyncpg.Connection
) -> tuple[str, str]:
    """A statement and a reference to it that a crash has left, in the backlog."""
    read, saw = new_id(), new_id()
    for item in (reading(read), referring(saw, read)):
        await insert.insert_new(slow_writer, partner.partner_id, [prepared(item)])
    await ReferenceBacklog(services.database).scan()
    assert await count_backlog(services, partner) == 1
    return read, saw


async def fail_for(partner_id: int, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    resolve = references.resolve

    async def fail(connection: Any, partner: int, *rest: Any) -> references.Resolution:
        if partner == partner_id:
            raise error
        return await resolve(connection, partner, *rest)

    monkeypatch.setattr(references, "resolve", fail)


@pytest.mark.parametrize(
    "error", [asyncpg.QueryCanceledError("timeout"), ValueError("malformed"), TimeoutError()]
)
async def test_failure_of_one_partner_does_not_stop_the_others(
    partner: Partner,
    services: Services,
    http: httpx.AsyncClient,
    slow_writer: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    left: tuple[str, str],
    error: Exception,
) -> None:
    other = await new_partner(services, http)
    read, saw = new_id(), new_id()
    for item in (reading(read), referring(saw, read)):
        await insert.insert_new(slow_writer, other.partner_id, [prepared(item)])
    await fail_for(partner.partner_id, monkeypatch, error)
    await work_off_backlog(services)
    assert await list_ids(partner, verb=READ) == [left[0]]
    assert await list_ids(other, verb=READ, ascending="true") == [read, saw]
    assert await count_backlog(services, partner) == 1


async def test_failed_entry_is_retried_with_backoff_and_given_up(
    partner: Partner,
    services: Services,
    monkeypatch: pytest.MonkeyPatch,
    left: tuple[str, str],
) -> None:
    await fail_for(partner.partner_id, monkeypatch, ValueError("malformed"))
    connection = services.database.writers
    abandoned = metrics.ABANDONED_REFERENCES._value.get()
    delays = []
    for _ in range(10):
        assert await ReferenceBacklog(services.database).work_round() == 1
        assert await ReferenceBacklog(services.database).work_round() == 0
        delays.append(
            await connection.fetchval(
                """
                select case when retry_at = 'infinity' then null
                    else extract(epoch from retry_at - now()) end
                from reference_backlog where partner_id = $1
                """,
                partner.partner_id,
            )
        )
        await connection.execute(
            "update reference_backlog set retry_at = now() where partner_id = $1"
            " and retry_at < 'infinity'",
            partner.partner_id,
        )
    assert delays[-1] is None
    assert [round(delay) for delay in delays[:-1]] == [10 * 2**number for number in range(9)]
    assert metrics.ABANDONED_REFERENCES._value.get() == abandoned + 1
    await ReferenceBacklog(services.database).scan()
    assert await ReferenceBacklog(services.database).work_round() == 0


async def test_entry_that_another_server_resolves_is_skipped(
    partner: Partner,
    services: Services,
    slow_writer: asyncpg.Connection,
    left: tuple[str, str],
) -> None:
    async with slow_writer.transaction():
        await slow_writer.execute(
            "select from reference_backlog where partner_id = $1 for update", partner.partner_id
        )
        assert await asyncio.wait_for(ReferenceBacklog(services.database).work_round(), 5) == 0
    assert await ReferenceBacklog(services.database).work_round() == 1
    assert await count_pending(services, partner) == 0


async def test_scan_continues_after_its_position(
    partner: Partner,
    services: Services,
    slow_writer: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Behind references that wait for statements that are not stored."""
    monkeypatch.setattr(reference_backlog, "_SCAN_LIMIT", 3)
    await send(partner, *(referring(new_id(), new_id()) for _ in range(10)))
    read = new_id()
    for item in (reading(read), referring(new_id(), read)):
        await insert.insert_new(slow_writer, partner.partner_id, [prepared(item)])
    count = await services.database.readers.fetchval(
        "select count(*) from statement_reference where not resolved"
    )
    backlog = ReferenceBacklog(services.database)
    for _ in range(count // 3 + 2):
        await backlog.scan()
    assert await count_backlog(services, partner) == 1


async def test_server_works_off_the_backlog(
    partner: Partner, services: Services, left: tuple[str, str]
) -> None:
    task = asyncio.create_task(_run(services.database))
    try:
        for _ in range(100):
            if not await count_pending(services, partner):
                break
            await asyncio.sleep(0.02)
    finally:
        task.cancel()
    assert sorted(await list_ids(partner, verb=READ)) == sorted(left)


async def _run(database: Database) -> None:
    await ReferenceBacklog(database).run()
