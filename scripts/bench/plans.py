"""EXPLAIN (ANALYZE, BUFFERS) of the queries that the server executes.

PostgreSQL logs every query with its parameters while traffic.py sends requests of every kind. Each
distinct query is then explained with the parameters of its slowest execution.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import asyncpg

from lrs.store import postgres
from scripts.bench import filling, servers, traffic
from scripts.bench.servers import Server

_LOG_SETTINGS = (
    "alter role lrs set log_min_duration_statement = 0",
    "alter system set log_line_prefix = '%m [%p] %a '",
    "select pg_reload_conf()",
)
_ENTRY = re.compile(r"^\d{4}-\d\d-\d\d [^\[]*\[\d+\] (.*?) +(LOG|DETAIL):  (.*)", re.DOTALL)
_EXECUTION = re.compile(r"duration: ([\d.]+) ms  execute [^:]*: (.*)", re.DOTALL)
_PARAMETER = re.compile(r"\$\d+ = (NULL|'(?:[^']|'')*')")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_STATEMENT_LIST = re.compile(r"\bfrom statement\b.*\blimit\b", re.DOTALL)
_DRIVER_QUERY = re.compile(r"\bpg_type\b")
_PROJECTION_SECONDS = 5
_LINE_LENGTH = 300


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution of a query; `parameters` are SQL literals."""

    application: str
    milliseconds: float
    sql: str
    parameters: tuple[str, ...] = ()


def explain(data: Path) -> str:
    """The plans of all executed queries, on the embedded database in `data`."""
    with servers.lrs(data) as server:
        filling.execute(server.superuser_dsn, *_LOG_SETTINGS)
    with servers.lrs(data, LRS_PROJECTION_ENABLED="true") as server:
        time.sleep(_PROJECTION_SECONDS)
        traffic.send(server)
        executed = slowest(executions((data / "postgres.log").read_text()))
        return asyncio.run(_plans(server, executed))


def executions(log: str) -> Iterator[Execution]:
    """The executions in a log. Continuation lines start with a tab."""
    last: Execution | None = None
    for entry in re.split(r"\n(?!\t)", log):
        match = _ENTRY.match(entry.replace("\n\t", "\n"))
        if match is None:
            continue
        application, kind, text = match.groups()
        if kind == "DETAIL" and last:
            last = replace(last, parameters=tuple(_PARAMETER.findall(text)))
        elif last:
            yield last
            last = None
        if execution := _EXECUTION.match(text):
            last = Execution(application, float(execution[1]), execution[2].strip())
    if last:
        yield last


def slowest(executed: Iterable[Execution]) -> list[Execution]:
    """The slowest execution of every query of the server, slowest first."""
    by_query: dict[str, Execution] = {}
    for execution in executed:
        if _DRIVER_QUERY.search(execution.sql):
            continue
        other = by_query.setdefault(execution.sql, execution)
        if execution.milliseconds > other.milliseconds:
            by_query[execution.sql] = execution
    return sorted(by_query.values(), key=lambda execution: -execution.milliseconds)


async def _plans(server: Server, executed: Iterable[Execution]) -> str:
    async with postgres.open_database(server.dsn) as database:
        return "\n".join([await _plan(_pool(database, query), query) for query in executed])


def _pool(database: postgres.Database, execution: Execution) -> asyncpg.Pool:
    """The pool whose session settings the query is planned under."""
    if execution.application != postgres.READER:
        return database.writers
    return database.lists if _STATEMENT_LIST.search(execution.sql) else database.readers


async def _plan(pool: asyncpg.Pool, execution: Execution) -> str:
    """The query and its plan. An insert that cannot be repeated is planned, not executed."""
    try:
        plan = await _explain(pool, execution, "analyze, buffers")
    except asyncpg.IntegrityConstraintViolationError:
        plan = await _explain(pool, execution, "costs")
    except asyncpg.PostgresError as error:
        plan = f"No plan: {error}"
    return f"=== {execution.milliseconds} ms\n\n{execution.sql}\n\n{plan}\n"


async def _explain(pool: asyncpg.Pool, execution: Execution, options: str) -> str:
    """A plan, from a transaction that is rolled back. Long lines are cut."""
    name = f"explained_{uuid4().hex}"
    arguments = f"({', '.join(_parameters(execution))})" if execution.parameters else ""
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        try:
            await connection.execute(f"prepare {name} as {execution.sql}")
            rows = await connection.fetch(f"explain ({options}) execute {name}{arguments}")
        finally:
            await transaction.rollback()
        await connection.execute(f"deallocate {name}")
    return "\n".join(row[0][:_LINE_LENGTH] for row in rows)


def _parameters(execution: Execution) -> list[str]:
    """The parameters. An insert gets new ids, since the old ones are stored by now."""
    if "insert into" not in execution.sql:
        return list(execution.parameters)
    ids: defaultdict[str, str] = defaultdict(lambda: str(uuid4()))
    return [_UUID.sub(lambda match: ids[match[0]], parameter) for parameter in execution.parameters]
