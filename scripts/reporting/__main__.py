"""usage: python -m scripts.reporting [options]

Measures reports on a temporary database filled with statements: statements per second of a rebuild,
and the duration of a people import, the vendor's query and the records of a learner. Prints each
result and writes all as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import platform
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import psutil  # type: ignore[import-untyped]

from lrs import embedded_postgres
from lrs.people import importer, rows
from lrs.projection import rebuild
from lrs.projection.partner_lock import PartnerLock
from lrs.projection.vocabulary import load_vocabulary
from lrs.reports import identifiers, learner_records
from lrs.reports.record_query import RecordQuery
from lrs.reports.roles import ReportRoles
from lrs.server import garbage_collection
from lrs.store import migrations, registry
from lrs.store.postgres import Database, open_database, open_projector_database
from lrs.xapi.definitions import identity_hash
from scripts.reporting import samples

READER = "bench_reader"
QUERY = Path(__file__).parents[2].joinpath("tests/fixtures/data-model-query.sql").read_text()
SECONDS_BETWEEN = 10.0

Json = dict[str, Any]


def main() -> None:
    options = _options()
    garbage_collection.tune_gc()
    with (
        tempfile.TemporaryDirectory(prefix="lrs-reporting-") as folder,
        embedded_postgres.running(Path(folder)) as dsn,
    ):
        asyncio.run(migrations.migrate(dsn))
        results = asyncio.run(_measure(dsn, Path(folder), options))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_bytes(orjson.dumps(results, option=orjson.OPT_INDENT_2))
    print(f"written to {options.output}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m scripts.reporting")
    parser.add_argument("--statements", type=int, default=200_000)
    parser.add_argument("--learners", type=int, default=1000)
    parser.add_argument("--output", type=Path, default=Path("bench/reporting.json"))
    return parser.parse_args()


async def _measure(dsn: str, folder: Path, options: argparse.Namespace) -> Json:
    async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool:
        partner = await registry.add_partner(
            Database(pool, pool, pool), "bench", "", "https://partner.example"
        )
        partner_id = partner.partner_id
        results: Json = {
            "machine": {"cores": psutil.cpu_count(), "python": platform.python_version()},
            "statements": options.statements,
            "learners": options.learners,
        }

        async def measure(name: str, work: Awaitable[Any]) -> None:
            print(f"{name} …", flush=True)
            results[name] = await work
            print(f"{name}: {orjson.dumps(results[name]).decode()}", flush=True)

        count = options.statements
        await measure("filling", _fill(pool, partner_id, options))
        await measure("rebuild", _rebuild(dsn, partner_id, folder, count))
        await measure("rebuild, nothing new", _rebuild(dsn, partner_id, folder, count))
        await measure("people", _people(pool, partner_id, options.learners))
        await pool.execute("vacuum analyze")
        await ReportRoles(pool).grant(partner_id, schema="bench", role=READER, password=READER)
        await measure("rows", _rows(pool))
        await measure("the vendor's query, seconds", _timed(3, lambda: _vendor(dsn)))
        async with open_database(dsn) as database:
            learner = options.learners // 2
            await measure(
                "a learner's records, seconds",
                _timed(50, lambda: _records(database, partner_id, learner)),
            )
    return results


async def _rows(pool: asyncpg.Pool) -> Json:
    return {
        table: await pool.fetchval(f"select count(*) from {table}")  # noqa: S608
        for table in ("learning_event", "learner_record", "daily_fact", "person", "content_item")
    }


async def _fill(pool: asyncpg.Pool, partner_id: int, options: argparse.Namespace) -> Json:
    began = time.perf_counter()
    records = samples.rows(options.statements, options.learners, partner_id)
    await pool.copy_records_to_table("statement", columns=samples.COLUMNS, records=records)
    await pool.copy_records_to_table(
        "activity",
        columns=("partner_id", "activity_hash", "activity_id", "definition"),
        records=[
            (partner_id, identity_hash(activity), activity, orjson.dumps(definition).decode())
            for activity, definition in samples.definitions()
        ],
    )
    await pool.execute("vacuum analyze")
    return _rate(time.perf_counter() - began, options.statements)


async def _rebuild(dsn: str, partner_id: int, folder: Path, count: int) -> Json:
    """Wall time, and CPU time of Python and PostgreSQL, in seconds, for each phase."""
    phases: Json = {}
    began = printed = last = time.perf_counter()
    before = _cpu_seconds(folder)

    def report(phase: str, done: int, total: int) -> None:
        nonlocal printed, last, before
        now = time.perf_counter()
        if done == total:
            after = _cpu_seconds(folder)
            python, postgresql = (start - now for now, start in zip(before, after, strict=True))
            phases[phase] = {
                **_rate(now - last, count),
                "python": round(python, 2),
                "postgresql": round(postgresql, 2),
            }
            last, before = now, after
        elif now - printed < SECONDS_BETWEEN:
            return
        printed = now
        print(f"  {phase}: {done:,} of {total:,} after {now - began:.1f} s", flush=True)

    async with open_projector_database(dsn) as database:
        await rebuild.rebuild_partner(database, partner_id, load_vocabulary(), report)
    return {**_rate(time.perf_counter() - began, count), "phases": phases}


def _rate(seconds: float, count: int) -> Json:
    return {"seconds": round(seconds, 2), "rate": round(count / seconds)}


def _cpu_seconds(folder: Path) -> tuple[float, float]:
    postgresql = 0.0
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.name() == "postgres" and process.cwd().startswith(str(folder)):
                postgresql += sum(process.cpu_times()[:2])
    return sum(psutil.Process().cpu_times()[:2]), postgresql


async def _people(pool: asyncpg.Pool, partner_id: int, learners: int) -> Json:
    """Seconds of an import of all learners, with an identifier and a team each, and of a repeat."""
    parsed = list(rows.read_json(samples.people(learners)))
    seconds: Json = {"rows": len(parsed)}
    for name in ("first", "repeat"):
        began = time.perf_counter()
        plan = await importer.import_rows(
            PartnerLock(pool), partner_id, "https://partner.example", parsed
        )
        seconds[name] = round(time.perf_counter() - began, 2)
        assert not plan.refused  # noqa: S101
    return seconds


async def _records(database: Database, partner_id: int, learner: int) -> None:
    """The query of the HTTP interface, by mail address."""
    name = identifiers.parse_learner(samples.address(learner), "https://partner.example")
    await learner_records.fetch_by_learner(database, partner_id, name, RecordQuery(limit=500))


async def _vendor(dsn: str) -> None:
    """The vendor's query as the reporting role."""
    connection = await asyncpg.connect(
        dsn, user=READER, password=READER, server_settings={"search_path": "bench"}
    )
    try:
        assert await connection.fetch(QUERY)  # noqa: S101
    finally:
        await connection.close()


async def _timed(times: int, work: Callable[[], Awaitable[Any]]) -> float:
    durations = []
    for _ in range(times):
        began = time.perf_counter()
        await work()
        durations.append(time.perf_counter() - began)
    return round(statistics.median(durations), 4)


if __name__ == "__main__":
    main()
