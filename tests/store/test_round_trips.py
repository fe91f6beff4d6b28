"""The number of round trips does not depend on the batch size."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import orjson
import pytest

from lrs.ingest.group_commit import GroupCommit
from lrs.ingest.model import IngestContext
from lrs.ingest.parse import StatementParser
from lrs.ingest.pipeline import IngestPipeline
from lrs.store.postgres import Database
from tests.support.partners import Partner
from tests.support.statements import statement
from tests.support.store import plain, telling

Json = dict[str, Any]


@pytest.fixture
async def counted(database_url: str) -> AsyncIterator[tuple[Database, list[str]]]:
    """A database whose writer records the SQL that it sends."""
    noted: list[str] = []

    async def note(connection: Any) -> None:
        connection.add_query_logger(lambda record: noted.append(record.query))

    async with (
        asyncpg.create_pool(
            database_url,
            min_size=1,
            max_size=1,
            init=note,
            server_settings={"application_name": "lrs writer"},
        ) as writers,
        asyncpg.create_pool(database_url, min_size=1, max_size=1) as readers,
    ):
        yield Database(writers, readers, readers), noted


def round_trips(noted: list[str]) -> int:
    """Without those of the driver when it releases a connection."""
    return sum("pg_advisory_unlock_all" not in query for query in noted)


def context(partner: Partner) -> IngestContext:
    return IngestContext(partner.partner_id, partner.name, partner.home_page, None, "{}", 1, True)


def referring(count: int) -> list[Json]:
    sent = plain(count)
    for each, target in zip(sent[1:], sent, strict=False):
        each["object"] = {"objectType": "StatementRef", "id": target["id"]}
    return sent


@pytest.mark.parametrize("make", [plain, referring])
@pytest.mark.parametrize("atomic", [False, True])
async def test_round_trips_do_not_depend_on_batch_size(
    partner: Partner, counted: tuple[Database, list[str]], make: Any, atomic: bool
) -> None:
    database, noted = counted
    ingest = IngestPipeline(database, GroupCommit(database))
    took = []
    for count in (3, 2, 20, 100):
        sent = make(count)
        for kind in ("stored", "duplicate"):
            noted.clear()
            items = [orjson.dumps(each) for each in sent]
            found = await ingest.submit(
                items, context(partner), StatementParser(16_384), atomic=atomic
            )
            assert {each.kind for each in found} == {kind}
            took.append((kind, round_trips(noted)))
    took = took[2:]  # the driver queries types once
    assert len(set(took)) == 2
    assert max(number for _, number in took) <= 5


async def test_single_statement_takes_one_round_trip(
    partner: Partner, counted: tuple[Database, list[str]]
) -> None:
    database, noted = counted
    ingest = IngestPipeline(database, GroupCommit(database))
    for _ in range(2):  # the driver queries types the first time
        noted.clear()
        item = orjson.dumps(statement())
        await ingest.submit([item], context(partner), StatementParser(16_384))
    assert round_trips(noted) == 1, noted


@pytest.mark.parametrize("make", [plain, telling])
@pytest.mark.parametrize("atomic", [False, True])
async def test_batch_takes_one_round_trip(
    partner: Partner, counted: tuple[Database, list[str]], make: Any, atomic: bool
) -> None:
    """With definitions and names, and as an atomic batch."""
    database, noted = counted
    ingest = IngestPipeline(database, GroupCommit(database))
    for count in (2, 1, 20):  # the driver queries types the first time
        noted.clear()
        items = [orjson.dumps(each) for each in make(count)]
        found = await ingest.submit(items, context(partner), StatementParser(16_384), atomic=atomic)
        assert {each.kind for each in found} == {"stored"}
    assert round_trips(noted) == 1, noted
