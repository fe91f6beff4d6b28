"""How PostgreSQL executes each query on a large database: EXPLAIN (ANALYZE, BUFFERS).

The server is made to log what it executes for requests of every kind. Each query is then explained
with the values it had when it took longest; those that no request led to are only planned.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from uuid import uuid4

import asyncpg

from lrs import resources
from lrs.store import postgres
from lrs.store.statements import insert
from scripts.bench import servers, traffic
from scripts.bench.servers import Target

_LOGGED = (
    "alter role lrs set log_min_duration_statement = 0",
    "alter system set log_line_prefix = '%m [%p] %a '",
    "select pg_reload_conf()",
)
_ENTRY = re.compile(r"^\d{4}-\d\d-\d\d [^\[]*\[(\d+)\] (.*?) +(LOG|DETAIL):  (.*)", re.DOTALL)
_EXECUTED = re.compile(r"duration: ([\d.]+) ms  execute [^:]*: (.*)", re.DOTALL)
_COPIED = re.compile(r"duration: ([\d.]+) ms  statement: COPY \((.*)\) TO STDOUT", re.DOTALL)
_LITERAL = r"(?:NULL|'(?:[^']|'')*')"
_VALUE = re.compile(rf"\$\d+ = ({_LITERAL})")
_PARAMETER = re.compile(r"\$(\d+)")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_FOLLOWING_SECONDS = 5
_BUILT = re.compile(r"\bfrom (statement|index_entry)\b")
_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution of a query; `values` are SQL literals."""

    session: str
    application: str
    milliseconds: float
    sql: str
    values: tuple[str, ...] = ()


def explained(data: Path) -> str:
    """The plans of all queries, on the embedded database in `data`."""
    with servers.ours(data) as target:
        asyncio.run(_execute(target.superuser, *_LOGGED))
    with servers.ours(data, LRS_PROJECTION="true") as target:
        time.sleep(_FOLLOWING_SECONDS)
        traffic.everything(target)
        executed = list(executions((data / "postgres.log").read_text()))
        return asyncio.run(_explained(target, executed))


async def _execute(dsn: str, *commands: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        for command in commands:
            await connection.execute(command)
    finally:
        await connection.close()


def executions(log: str) -> Iterator[Execution]:
    """Statements with parameters, as the log has them: lines that go on begin with a tab."""
    last: Execution | None = None
    for entry in re.split(r"\n(?!\t)", log):
        found = _ENTRY.match(entry.replace("\n\t", "\n"))
        if found is None:
            continue
        session, application, kind, text = found.groups()
        if kind == "DETAIL" and last:
            last = replace(last, values=tuple(_VALUE.findall(text)))
        elif last:
            yield last
            last = None
        if executed := _EXECUTED.match(text) or _COPIED.match(text):
            last = Execution(session, application, float(executed[1]), executed[2].strip())
    if last:
        yield last


async def _explained(target: Target, executed: list[Execution]) -> str:
    named = named_queries()
    names = {sql: _name(sql, named) for sql in {each.sql for each in executed}}
    # Sessions for lists have settings of their own; it is they who run what has no file.
    built = [
        each
        for each in executed
        if each.application == postgres.READER and not names[each.sql] and _BUILT.search(each.sql)
    ]
    lists = {each.session for each in built}
    slowest: dict[str, Execution] = {}
    with_file = [each for each in executed if names[each.sql]]
    for each in sorted([*with_file, *built], key=lambda each: each.milliseconds):
        slowest[each.sql] = each
    parts = []
    async with postgres.open_database(target.dsn) as pools:
        for sql, each in slowest.items():
            title = names[sql] or f"built by lrs/store/statements/page_query.py\n\n{sql}"
            pool = pools.lists if each.session in lists else pools.writers
            parts.append((title, await _explain(pool, each)))
        for name in named.keys() - names.values():
            planned = Execution("", "", 0, named[name])
            parts.append((name, await _explain(pools.readers, planned)))
    return "\n\n".join(f"=== {title}\n\n{plan}\n" for title, plan in sorted(parts))


def _name(sql: str, named: Mapping[str, str]) -> str:
    """The file that a query comes from: the longest that it holds, values filled in or not."""
    found = ""
    for name, text in named.items():
        if len(text) > len(named.get(found, "")) and _filled(text).search(sql):
            found = name
    return found


@cache
def _filled(text: str) -> re.Pattern[str]:
    pieces = re.split(r"(\$\d+)", text)
    return re.compile(
        "".join(
            f"(?:{re.escape(piece)}|{_LITERAL})" if piece.startswith("$") else re.escape(piece)
            for piece in pieces
        )
    )


def named_queries() -> dict[str, str]:
    whole = {
        "insert": insert.SEVERAL,
        "insert_one": insert.ONE,
        "insert_one, tell": insert.ONE_TELLING,
        "insert_all, tell": insert.ALL_TELLING,
    }
    return resources.queries() | {name: text.strip() for name, text in whole.items()}


async def _explain(pool: asyncpg.Pool, each: Execution) -> str:
    """In a transaction that is undone."""
    name = f"explained_{next(_numbers)}"
    count = max(map(int, _PARAMETER.findall(each.sql)), default=0)
    values = f"({', '.join(_fresh(each) or ['null'] * count)})" if count else ""
    known = len(each.values) == count
    how = "analyze, buffers" if known else "costs"
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        try:
            if not known:
                await connection.execute("set local plan_cache_mode = force_generic_plan")
            await connection.execute(f"prepare {name} as {each.sql}")
            rows = await connection.fetch(f"explain ({how}) execute {name}{values}")
        except asyncpg.PostgresError as error:
            return f"cannot be explained: {error}"
        finally:
            await transaction.rollback()
    note = [] if known else ["(not executed: no request led to it)"]
    return "\n".join([*note, *(row[0] for row in rows)])


def _fresh(each: Execution) -> Sequence[str]:
    """The values; of what writes, with new ids for those that are stored by now."""
    if "insert into" not in each.sql:
        return each.values
    fresh: defaultdict[str, str] = defaultdict(lambda: str(uuid4()))
    return [_UUID.sub(lambda found: fresh[found[0]], value) for value in each.values]
