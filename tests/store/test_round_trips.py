"""Round trips: their number does not depend on the batch size; concurrent requests share them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import orjson
import pytest

from lrs.api.access import BEARER
from lrs.api.services import Services
from lrs.auth.authenticate import Authenticator
from lrs.ingest.group_commit import GroupCommit
from lrs.ingest.model import IngestContext
from lrs.ingest.parse import StatementParser
from lrs.ingest.pipeline import IngestPipeline
from lrs.store import registry
from lrs.store.postgres import Database
from tests.support.limits import unlimited_quotas
from tests.support.partners import Partner
from tests.support.statements import statement
from tests.support.store import defining_statements, plain_statements

Json = dict[str, Any]


@pytest.fixture
async def counted(database_url: str) -> AsyncIterator[tuple[Database, list[str]]]:
    """A database whose writer records the SQL that it sends."""
    recorded: list[str] = []

    async def note(connection: Any) -> None:
        connection.add_query_logger(lambda record: recorded.append(record.query))

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
        yield Database(writers, readers, readers), recorded


def round_trips(recorded: list[str]) -> int:
    """Without those of the driver when it releases a connection."""
    return sum("pg_advisory_unlock_all" not in query for query in recorded)


def context(partner: Partner) -> IngestContext:
    return IngestContext(partner.partner_id, partner.name, partner.home_page, None, "{}", 1, True)


def referring(count: int) -> list[Json]:
    sent = plain_statements(count)
    for item, target in zip(sent[1:], sent, strict=False):
        item["object"] = {"objectType": "StatementRef", "id": target["id"]}
    return sent


@pytest.mark.parametrize("make", [plain_statements, referring])
@pytest.mark.parametrize("atomic", [False, True])
async def test_round_trips_do_not_depend_on_batch_size(
    partner: Partner, counted: tuple[Database, list[str]], make: Any, atomic: bool
) -> None:
    database, recorded = counted
    ingest = IngestPipeline(database, GroupCommit(database), unlimited_quotas())
    counts = []
    for count in (3, 2, 20, 100):
        sent = make(count)
        for kind in ("stored", "duplicate"):
            recorded.clear()
            items = [orjson.dumps(item) for item in sent]
            result = await ingest.submit(
                items, context(partner), StatementParser(16_384), atomic=atomic
            )
            assert {item.kind for item in result} == {kind}
            counts.append((kind, round_trips(recorded)))
    counts = counts[2:]  # the driver queries types once
    assert len(set(counts)) == 2
    assert max(number for _, number in counts) <= 5


async def test_single_statement_takes_one_round_trip(
    partner: Partner, counted: tuple[Database, list[str]]
) -> None:
    database, recorded = counted
    ingest = IngestPipeline(database, GroupCommit(database), unlimited_quotas())
    for _ in range(2):  # the driver queries types the first time
        recorded.clear()
        item = orjson.dumps(statement())
        await ingest.submit([item], context(partner), StatementParser(16_384))
    assert round_trips(recorded) == 1, recorded


@pytest.mark.parametrize("make", [plain_statements, defining_statements])
@pytest.mark.parametrize("atomic", [False, True])
async def test_batch_takes_one_round_trip(
    partner: Partner, counted: tuple[Database, list[str]], make: Any, atomic: bool
) -> None:
    """With definitions and names, and as an atomic batch."""
    database, recorded = counted
    ingest = IngestPipeline(database, GroupCommit(database), unlimited_quotas())
    for count in (2, 1, 20):  # the driver queries types the first time
        recorded.clear()
        items = [orjson.dumps(item) for item in make(count)]
        result = await ingest.submit(
            items, context(partner), StatementParser(16_384), atomic=atomic
        )
        assert {item.kind for item in result} == {"stored"}
    assert round_trips(recorded) == 1, recorded


async def test_statements_of_the_next_iterations_share_a_transaction(
    partner: Partner, counted: tuple[Database, list[str]]
) -> None:
    database, recorded = counted
    ingest = IngestPipeline(database, GroupCommit(database), unlimited_quotas())

    async def submit() -> None:
        item = orjson.dumps(statement())
        await ingest.submit([item], context(partner), StatementParser(16_384))

    await submit()  # the driver queries types the first time
    recorded.clear()
    first = asyncio.create_task(submit())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await asyncio.gather(first, submit())
    assert round_trips(recorded) == 1, recorded


async def test_concurrent_requests_renew_a_cached_credential_with_one_query(
    partner: Partner, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    queried: list[str] = []
    find = registry.find_credential

    async def find_credential(database: Database, key: str) -> registry.Credential | None:
        queried.append(key)
        return await find(database, key)

    monkeypatch.setattr(registry, "find_credential", find_credential)
    authenticator = Authenticator(
        services.database, services.tokens, services.limits, cache_seconds=0
    )
    for concurrent in (1, 20):
        queried.clear()
        callers = await asyncio.gather(
            *(
                authenticator.authenticate(partner.headers["Authorization"], BEARER, "")
                for _ in range(concurrent)
            )
        )
        assert {caller.partner for caller in callers} == {partner.name}
        assert len(queried) == 1
