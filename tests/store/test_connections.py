"""Database connections: timeouts, PostgreSQL errors, lost connections."""

from __future__ import annotations

import asyncio
import time

import asyncpg
import pytest

from lrs.errors import InternalError, LRSError, Unavailable
from lrs.observability.exposition import samples
from lrs.store.postgres import READER, Database, open_database, translate_errors, waiting

TERMINATE_CONNECTIONS = """
select pg_terminate_backend(pid) from pg_stat_activity
where application_name = $1 and backend_start > $2
"""


async def ask(database: Database) -> None:
    with translate_errors():
        await database.readers.fetchval("select 1")


async def test_acquire_of_a_connection_times_out(database_url: str) -> None:
    async with open_database(database_url, readers=1, timeout=0.2) as database:
        began = time.monotonic()
        async with database.readers.acquire():
            with pytest.raises(Unavailable):
                await ask(database)
        assert time.monotonic() - began < 2
        await ask(database)


async def test_wait_for_a_connection_is_measured(database_url: str) -> None:
    def measured() -> dict[str, float]:
        return {
            sample.name: sample.value
            for sample in samples({"lrs_database_wait_seconds"})
            if sample.labels["pool"] == "lists" and "le" not in sample.labels
        }

    async with open_database(database_url, readers=1) as database:
        before = measured()
        async with database.lists.acquire():
            other = asyncio.create_task(database.lists.fetchval("select 1"))
            await asyncio.sleep(0.05)
            assert (waiting(database.lists), waiting(database.readers)) == (1, 0)
        await other
        assert waiting(database.lists) == 0
        grown = {name: value - before.get(name, 0) for name, value in measured().items()}
    assert grown["lrs_database_wait_seconds_count"] == 1
    assert grown["lrs_database_wait_seconds_sum"] >= 0.05


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (ConnectionRefusedError(), Unavailable),
        (TimeoutError(), Unavailable),
        (asyncpg.CannotConnectNowError("said so"), Unavailable),
        (asyncpg.AdminShutdownError("said so"), Unavailable),
        (asyncpg.DiskFullError("said so"), Unavailable),
        (asyncpg.InternalClientError("cannot switch to state 12"), Unavailable),
        (asyncpg.DeadlockDetectedError("said so"), Unavailable),
        (asyncpg.IdleInTransactionSessionTimeoutError("said so"), Unavailable),
        (asyncpg.UniqueViolationError("said so"), InternalError),
        (asyncpg.UndefinedTableError("said so"), InternalError),
    ],
    ids=lambda item: item.__name__ if isinstance(item, type) else type(item).__name__,
)
def test_postgres_error_is_translated(raised: Exception, expected: type[LRSError]) -> None:
    with pytest.raises(expected) as result, translate_errors():
        raise raised
    assert result.type is expected


@pytest.mark.parametrize(
    ("raised", "reason"),
    [
        (OSError("[Errno 111] Connect call failed ('10.9.8.7', 1)"),
         "[Errno 111] Connect call failed ('10.9.8.7', 1)"),
        (OSError("gone."), "gone"),
        (TimeoutError(), "TimeoutError"),
        (asyncpg.CannotConnectNowError("It is starting up.\nNow."), "It is starting up"),
        (asyncpg.DiskFullError('could not extend file "base/5/1"'),
         'could not extend file "base/5/1"'),
    ],
    ids=lambda item: item if isinstance(item, str) else "",
)  # fmt: skip
def test_words_of_postgres_are_in_the_cause_only(raised: Exception, reason: str) -> None:
    with pytest.raises(Unavailable) as result, translate_errors():
        raise raised
    assert result.value.detail == "The database does not answer."
    assert result.value.detail_with_cause == f"The database does not answer: {reason}."


@pytest.mark.slow
async def test_lost_connections_raise_unavailable_and_are_replaced(database_url: str) -> None:
    ended, met = asyncio.Event(), set[type[LRSError]]()
    operator = await asyncpg.connect(database_url)
    began = await operator.fetchval("select clock_timestamp()")

    async def ask_on(database: Database) -> None:
        while not ended.is_set():
            try:
                await ask(database)
            except LRSError as error:
                met.add(type(error))
                await asyncio.sleep(0)

    async with open_database(database_url, readers=4, timeout=2) as database:
        asking = [asyncio.create_task(ask_on(database)) for _ in range(10)]
        for _ in range(30):
            await operator.execute(TERMINATE_CONNECTIONS, READER, began)
            await asyncio.sleep(0.02)
        ended.set()
        await asyncio.gather(*asking)
        await ask(database)
    await operator.close()
    assert met == {Unavailable}
