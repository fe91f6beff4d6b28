"""Counts of items by hour, source, credential, organization, outcome and reason."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta

import asyncpg
import httpx
import pytest

from lrs.api.services import Services
from lrs.ledger import counters
from lrs.ledger.worker import Ledger
from lrs.pipes.identity import HEADER
from lrs.store.intake import HourNames, IntakeCount, IntakeKey
from tests.support.canvas import new_tool
from tests.support.files import SEEDS
from tests.support.ledger import counts, outcomes
from tests.support.partners import Partner
from tests.support.statements import new_id, statement

HOUR = datetime(2026, 1, 1, tzinfo=UTC)
FROM_A_PIPE = {HEADER: "0" * 32}


async def statement_count(connection: asyncpg.Connection, partner: Partner) -> int:
    count: int = await connection.fetchval(
        "select count(*) from statement where partner_id = $1", partner.partner_id
    )
    return count


async def test_every_source_is_counted_with_credential_and_organization(
    services: Services, partner: Partner
) -> None:
    await partner.send([statement(), statement()])
    await partner.send(statement(), organization="north")
    await partner.xapi(statement())
    await partner.xapi(statement(), **FROM_A_PIPE)
    tool = await new_tool(services, partner)
    assert (await tool.send()).status_code == 200
    result = {count.key[2:6]: count.items for count in await counts(services, partner)}
    assert result == {
        ("statements", partner.key, "", "stored"): 2,
        ("statements", partner.key, "north", "stored"): 1,
        ("xapi", partner.key, "", "stored"): 1,
        ("forward", partner.key, "", "stored"): 1,
        ("canvas", f"tool {tool.name}", "", "stored"): 1,
    }


async def test_track_event_is_counted_under_its_source(
    services: Services, partner: Partner
) -> None:
    event = json.loads((SEEDS / "percipio-track-event.json").read_bytes())
    await partner.send([event, {**event, "status": "unknown"}], resource="track")
    rows = [count.key for count in await counts(services, partner)]
    assert [(key.source, key.outcome) for key in rows] == [
        ("track", "stored"),
        ("track", "invalid"),
    ]


async def test_stored_bytes_are_those_of_the_statements(
    services: Services, partner: Partner, connection: asyncpg.Connection
) -> None:
    await partner.send([statement(id=new_id()) for _ in range(3)])
    size = await connection.fetchval(
        "select sum(octet_length(payload)) from statement where partner_id = $1",
        partner.partner_id,
    )
    assert sum(count.bytes for count in await counts(services, partner)) == size


async def test_outcomes_of_a_batch_are_counted_by_reason(
    services: Services, partner: Partner
) -> None:
    stored = statement(id=new_id())
    await partner.send(stored)
    changed = {**stored, "verb": {"id": "http://example.com/other"}}
    invalid = [statement(context={"contextActivities": {"parent": [{}, {}]}})] * 2
    await partner.send([statement(), stored, changed, *invalid, 1])
    rows = await counts(services, partner)
    assert {(row.key.outcome, row.key.code, row.key.pointer): row.items for row in rows} == {
        ("stored", "", ""): 2,
        ("duplicate", "duplicate", ""): 1,
        ("conflict", "statement-conflict", "/verb/id"): 1,
        ("invalid", "invalid-statement", "/context/contextActivities/parent/*"): 2,
        ("invalid", "invalid-statement", ""): 1,
    }


async def test_aborted_items_of_an_atomic_batch_are_counted(
    services: Services, partner: Partner
) -> None:
    await partner.xapi([statement(), {**statement(), "verb": 1}])
    assert await outcomes(services, partner) == {"aborted": 1, "invalid": 1}


async def test_dry_run_is_not_counted(services: Services, partner: Partner) -> None:
    await partner.send([statement(), 1], params={"validate": "true"})
    assert await outcomes(services, partner) == {}


async def test_conflicting_canvas_report_of_another_launch_counts_as_stored(
    services: Services, partner: Partner
) -> None:
    tool = await new_tool(services, partner)
    other = await tool.launch(user="43")
    report = {"id": new_id(), "object": {"id": "http://example.com/a"}}
    assert (await tool.send(report)).status_code == 200
    assert (await other.send(report)).status_code == 200
    assert await outcomes(services, partner) == {"stored": 2}


async def test_statements_of_a_lost_worker_are_counted_by_another(
    services: Services, partner: Partner, connection: asyncpg.Connection
) -> None:
    await partner.send([statement() for _ in range(3)])
    await services.ledger.write()
    # What a killed worker has committed and not counted.
    await connection.execute(
        "update intake_position set position = 0 where partner_id = $1", partner.partner_id
    )
    await connection.execute("delete from intake_count where partner_id = $1", partner.partner_id)
    other = Ledger(services.database, services.watermark_reader)
    await other.sweep()
    assert await outcomes(services, partner) == {"stored": 3}
    assert await statement_count(connection, partner) == 3


@pytest.mark.slow
async def test_stored_counts_agree_with_statements_under_concurrent_writers(
    services: Services,
    partner: Partner,
    second_http: httpx.AsyncClient,
    connection: asyncpg.Connection,
) -> None:
    others = [Ledger(services.database, services.watermark_reader) for _ in range(2)]

    async def send(http: httpx.AsyncClient) -> None:
        for _ in range(10):
            await http.post(
                partner.url("statements"),
                headers=partner.headers,
                json=[statement(id=new_id()) for _ in range(5)],
            )

    async def count() -> None:
        for _ in range(5):
            for ledger in (services.ledger, *others):
                ledger.stored(partner.partner_id)
            await asyncio.gather(*(ledger.write() for ledger in (services.ledger, *others)))

    await asyncio.gather(send(partner.http), send(second_http), send(second_http), count())
    await others[0].sweep()
    assert await outcomes(services, partner) == {"stored": 150}
    assert await statement_count(connection, partner) == 150


def key(pointer: str = "", organization: str = "") -> IntakeKey:
    return IntakeKey(1, HOUR, "xapi", "key", organization, "invalid", "invalid-statement", pointer)


def items(keys: list[IntakeKey]) -> list[IntakeCount]:
    return [IntakeCount(item, 1, 10, HOUR + timedelta(minutes=1)) for item in keys]


def test_reasons_beyond_the_limit_of_an_hour_are_counted_together() -> None:
    limited = counters.limit_names(items([key(f"/p{number}") for number in range(500)]), {})
    reasons = {count.key.pointer for count in limited}
    assert len(reasons) <= counters.MAX_REASONS
    assert counters.OTHER in reasons
    assert sum(count.items for count in limited) == 500


def test_reasons_of_earlier_writes_count_for_the_limit() -> None:
    existing = HourNames(frozenset(f"invalid-statement /q{n}" for n in range(200)))
    (count,) = counters.limit_names(items([key("/new"), key("/newer")]), {(1, HOUR): existing})
    assert (count.key.pointer, count.items) == (counters.OTHER, 2)


def test_organizations_beyond_the_limit_of_an_hour_are_counted_together() -> None:
    keys = [key(organization=f"o{n}") for n in range(counters.MAX_ORGANIZATIONS + 10)]
    limited = counters.limit_names(items(keys), {})
    assert len(limited) == counters.MAX_ORGANIZATIONS + 1
    assert limited[-1].items == 10


@pytest.mark.parametrize(
    ("pointer", "expected"),
    [
        ("", ""),
        ("/a/0/b/12", "/a/*/b/*"),
        ("/0", "/*"),
        ("/a0/1b", "/a0/1b"),
        ("/x\0\ud800", "/x\ufffd\ufffd"),
    ],
)
def test_pointer_is_generalized(pointer: str, expected: str) -> None:
    assert counters.generalize(pointer) == expected


def test_long_pointer_is_cut() -> None:
    assert len(counters.generalize("/x" * 1000)) == 150


async def test_counts_that_cannot_be_written_are_kept(
    services: Services, partner: Partner, connection: asyncpg.Connection
) -> None:
    await partner.send([1])
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute("lock table intake_count in access exclusive mode")
        write = asyncio.create_task(services.ledger.write())
        await asyncio.sleep(0.05)
        write.cancel()
        with pytest.raises(asyncio.CancelledError):
            await write
    finally:
        await transaction.rollback()
    assert await outcomes(services, partner) == {"invalid": 1}


def test_counts_in_memory_are_bounded_for_a_partner() -> None:
    collected = counters.Counters()
    for number in range(counters.MAX_ROWS + 1000):
        collected.add(key(f"/{number}"), 1, 10, 1e9)
    taken = collected.take()
    assert len(taken) == counters.MAX_ROWS + 1
    assert sum(count.items for count in taken) == counters.MAX_ROWS + 1000
