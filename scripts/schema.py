"""Write `sql/schema.sql`: the present schema, as the migrations make it, in readable form.

    python -m scripts.schema

Read from the catalog of an embedded PostgreSQL. `pg_dump` would scatter each table over the file:
columns, keys, indexes and comments each in a section of their own.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
import textwrap
from collections import defaultdict
from pathlib import Path
from typing import Any

import asyncpg

from lrs import embedded_postgres
from lrs.store import migrations

PATH = Path(__file__).parent.parent / "sql" / "schema.sql"
WIDTH = 100

_HEAD = """\
-- The present schema, generated from sql/migrations by `make schema`: do not edit.
-- PostgreSQL prints expressions in its own form; the migrations have them as they were written.
"""

_FUNCTIONS = """
select
    obj_description(oid, 'pg_proc') as comment,
    prokind = 'a' as is_aggregate,
    oid::regprocedure::text as signature,
    case when prokind <> 'a' then pg_get_functiondef(oid) end as definition
from pg_proc
where pronamespace = 'public'::regnamespace
order by oid
"""
_AGGREGATES = """
select aggfnoid::oid::regprocedure::text as signature, aggtransfn::oid::regproc::text as function,
    aggtranstype::regtype::text as type, agginitval as initial
from pg_aggregate join pg_proc on pg_proc.oid = aggfnoid
where pronamespace = 'public'::regnamespace
"""
_RELATIONS = """
select oid, relname as name, relkind = 'v' as is_view, obj_description(oid, 'pg_class') as comment,
    pg_get_viewdef(oid, true) as view, array_to_string(reloptions, ', ') as options,
    relpersistence = 'u' as is_unlogged
from pg_class
where relnamespace = 'public'::regnamespace and relkind in ('r', 'v')
order by oid
"""
_COLUMNS = """
select attrelid as relation, attname as name, format_type(atttypid, atttypmod) as type,
    attnotnull as is_required, attidentity <> '' as is_identity, attgenerated <> '' as is_generated,
    attstorage <> typstorage as has_storage, attstorage = 'e' as is_external,
    pg_get_expr(adbin, adrelid, true) as value, col_description(attrelid, attnum) as comment
from pg_attribute
join pg_type on pg_type.oid = atttypid
left join pg_attrdef on adrelid = attrelid and adnum = attnum
where attnum > 0 and not attisdropped
order by attrelid, attnum
"""
_CONSTRAINTS = """
select conrelid as relation, conname as name, contype in ('p', 'f') as is_unnamed,
    pg_get_constraintdef(oid, true) as definition
from pg_constraint
where contype in ('p', 'u', 'f', 'c') and connamespace = 'public'::regnamespace
order by conrelid, array_position(array['p', 'u', 'f', 'c'], contype::text), conname
"""
_INDEXES = """
select indrelid as relation, pg_get_indexdef(indexrelid, 0, true) as definition
from pg_index
where not exists (select from pg_constraint where conindid = indexrelid)
order by indexrelid
"""


_SHORTER = (
    (r"^::text\b(?!\[)", ""),
    (r"\bpublic\.", ""),
    (r"\btimestamp with time zone\b", "timestamptz"),
    (r"\btimestamp without time zone\b", "timestamp"),
)


async def describe(connection: asyncpg.Connection) -> str:
    """The text of `sql/schema.sql` for the schema `public` of a database."""
    parts = [_HEAD]
    aggregates = {row["signature"]: row for row in await connection.fetch(_AGGREGATES)}
    functions = await connection.fetch(_FUNCTIONS)
    parts += [_comment(row["comment"]) + _function(row, aggregates) for row in functions]
    columns = await _grouped(connection, _COLUMNS)
    constraints = await _grouped(connection, _CONSTRAINTS)
    indexes = await _grouped(connection, _INDEXES)
    for row in await connection.fetch(_RELATIONS):
        head = _comment(row["comment"])
        if row["is_view"]:
            view = textwrap.dedent(row["view"]).strip()
            parts.append(f"{head}create view {row['name']} as\n{_wrapped(_lower(view), ' ' * 8)}\n")
            continue
        lines = [_column(column) for column in columns[row["oid"]]]
        lines += [_constraint(constraint) for constraint in constraints[row["oid"]]]
        body = ",\n".join(lines)
        options = f" with ({row['options']})" if row["options"] else ""
        kind = "unlogged table" if row["is_unlogged"] else "table"
        table = f"{head}create {kind} {row['name']} (\n{body}\n){options};\n"
        parts.append(table + "".join(_index(index) for index in indexes[row["oid"]]))
    return "\n".join(parts)


async def _grouped(connection: asyncpg.Connection, sql: str) -> dict[int, list[Any]]:
    groups: dict[int, list[Any]] = defaultdict(list)
    for row in await connection.fetch(sql):
        groups[row["relation"]].append(row)
    return groups


def _comment(text: str | None, indent: str = "") -> str:
    lines = textwrap.wrap(text or "", WIDTH - len(indent) - 3)
    return "".join(f"{indent}-- {line}\n" for line in lines)


def _function(row: Any, aggregates: dict[str, Any]) -> str:
    if not row["is_aggregate"]:
        definition = re.sub(r"(?m)^ ", "", row["definition"]).strip()
        definition = definition.replace("CREATE OR REPLACE", "CREATE")
        return f"{_wrapped(_lower(definition))};\n"
    aggregate = aggregates[row["signature"]]
    return (
        f"create aggregate {row['signature']} (sfunc = {aggregate['function']},"
        f" stype = {aggregate['type']}, initcond = '{aggregate['initial']}');\n"
    )


def _column(row: Any) -> str:
    parts = [row["name"], _lower(row["type"])]
    if row["has_storage"] and row["is_external"]:
        parts.append("storage external")
    if row["is_required"]:
        parts.append("not null")
    if row["is_identity"]:
        parts.append("generated by default as identity")
    elif row["is_generated"]:
        parts.append(f"generated always as ({_lower(row['value'])}) stored")
    elif row["value"]:
        parts.append(f"default {_lower(row['value'])}")
    return f"{_comment(row['comment'], '    ')}    {_wrapped(' '.join(parts), '        ')}"


def _constraint(row: Any) -> str:
    name = "" if row["is_unnamed"] else f"constraint {row['name']} "
    return f"    {_wrapped(name + _lower(row['definition']), '        ')}"


def _index(row: Any) -> str:
    definition = _lower(row["definition"]).replace(" using btree", "")
    if len(definition) > WIDTH:
        definition = definition.replace(" where ", "\n    where ")
    return f"{_wrapped(definition, ' ' * 8)};\n"


def _lower(sql: str) -> str:
    """Keywords in lower case, short names of types, no schema, no casts of text literals."""
    pieces = sql.split("'")
    for before, after in _SHORTER:
        pieces[::2] = [re.sub(before, after, piece.lower()) for piece in pieces[::2]]
    return "'".join(pieces)


def _wrapped(sql: str, indent: str = "    ") -> str:
    """Long lines broken between words, never within a string literal."""
    return "\n".join(_broken(line, indent) for line in sql.splitlines())


def _broken(line: str, indent: str) -> str:
    words = re.findall(r"(?:'(?:[^']|'')*'|\S)+", line)
    if len(line) <= WIDTH or not words:
        return line
    start = re.match(r"\s*", line)
    lines = [(start[0] if start else "") + words[0]]
    for word in words[1:]:
        if len(lines[-1]) + 1 + len(word) > WIDTH - 4:
            lines.append(indent + word)
        else:
            lines[-1] += f" {word}"
    return "\n".join(lines)


async def _describe_migrated(dsn: str) -> str:
    await migrations.migrate(dsn)
    connection = await asyncpg.connect(dsn)
    try:
        return await describe(connection)
    finally:
        await connection.close()


if __name__ == "__main__":
    with (
        tempfile.TemporaryDirectory(prefix="lrs-schema-") as data,
        embedded_postgres.running(Path(data)) as url,
    ):
        PATH.write_text(asyncio.run(_describe_migrated(url)), encoding="utf-8")
