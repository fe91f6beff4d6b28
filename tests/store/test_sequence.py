"""Sequence values: order, instants, collisions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrs.api.services import Services
from lrs.ingest.group_commit import GroupCommit
from lrs.store.postgres import WRITER, Database
from lrs.store.statements import sequence
from tests.support.partners import Partner
from tests.support.statements import new_id, prepared, statement

Json = dict[str, Any]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
VERB = "http://example.com/verbs/read"


# Sequence values


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2200, 1, 1)))
def test_instant_is_a_range_of_sequence_values(moment: datetime) -> None:
    moment = moment.replace(tzinfo=UTC)
    first, after = sequence.first_at(moment), sequence.first_after(moment)
    assert after - first == 2**sequence.TIEBREAK_BITS
    assert sequence.stored_at(first) == sequence.stored_at(after - 1) == moment
    assert sequence.stored_at(after) == moment + timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("moment", "sequence_number"),
    [
        (datetime.min.replace(tzinfo=UTC), 0),
        (EPOCH, 0),
        (datetime.max.replace(tzinfo=UTC), 2**63 - 1),
    ],
)
def test_instant_out_of_range_is_clamped(moment: datetime, sequence_number: int) -> None:
    assert sequence.first_at(moment) == sequence_number


async def test_database_computes_the_same_instant(services: Services) -> None:
    moment = datetime(2026, 5, 8, 14, 44, 1, 267_891, UTC)
    for number in (sequence.first_at(moment), sequence.first_after(moment) - 1):
        reported = await services.database.readers.fetchval("select stored_at($1)", number)
        assert reported == moment


# Sequence collisions


@pytest.fixture
async def stuck(database_url: str) -> AsyncIterator[Database]:
    """A store whose clock has stopped, with a fixed tiebreaker."""
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        """
        create schema stuck;
        create function stuck.pg_backend_pid() returns integer language sql as 'select 7';
        create function stuck.now() returns timestamptz language sql as $$
            select timestamptz '2026-01-01'
        $$;
        create function stuck.clock_timestamp() returns timestamptz language sql as $$
            select timestamptz '2026-01-01'
        $$;
        """
    )
    path = {"search_path": "stuck, pg_catalog, public", "application_name": WRITER}
    try:
        async with asyncpg.create_pool(
            database_url, min_size=2, max_size=2, server_settings=path
        ) as pool:
            yield Database(pool, pool, pool)
    finally:
        await connection.execute("drop schema stuck cascade")
        await connection.close()


@pytest.mark.parametrize("atomic", [False, True])
async def test_colliding_sequence_is_replaced_and_statements_are_stored(
    partner: Partner, stuck: Database, atomic: bool
) -> None:
    """Of two servers that store at the same time."""
    servers = [GroupCommit(stuck) for _ in range(2)]
    sent = [[prepared(statement(id=new_id())) for _ in range(1 + n // 2 % 2)] for n in range(12)]
    for pair in zip(sent[::2], sent[1::2], strict=True):
        results = await asyncio.gather(
            *(
                server.submit(partner.partner_id, batch, atomic=atomic)
                for server, batch in zip(servers, pair, strict=True)
            )
        )
        assert results == [[None] * len(batch) for batch in pair]
    rows = await stuck.readers.fetch(
        "select statement_id::text, sequence from statement where partner_id = $1"
        " order by sequence",
        partner.partner_id,
    )
    assert {row["statement_id"] for row in rows} == {
        item.statement_id for batch in sent for item in batch
    }
    assert len({row["sequence"] for row in rows}) == len(rows)
    assert {row["sequence"] % 2**sequence.TIEBREAK_BITS for row in rows} == {7}


async def test_statement_is_stored_after_the_last_one_and_the_floor(
    partner: Partner, stuck: Database
) -> None:
    server = GroupCommit(stuck)
    floor = datetime(2027, 1, 1, tzinfo=UTC)
    stored = []
    for count in (1, 3, 1, 2):
        batch = [prepared(statement(id=new_id())) for _ in range(count)]
        await server.submit(partner.partner_id, batch, atomic=False)
        rows = await stuck.readers.fetch(
            "select stored_at(sequence) as stored from statement"
            " where partner_id = $1 and statement_id = any($2) order by sequence",
            partner.partner_id,
            [row.statement_id for row in batch],
        )
        stored += [row["stored"] for row in rows]
        if len(stored) == 4:
            await stuck.readers.execute("insert into statement_clock values ($1)", floor)
    await stuck.readers.execute("delete from statement_clock where floor = $1", floor)
    assert stored == sorted(set(stored))
    assert stored[4] == floor + timedelta(microseconds=1)
