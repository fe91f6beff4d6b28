"""The schema of views through which roles read the reports of one partner.

A view runs with the privileges of the server's own role, contains the partner id as a constant, and
is a security barrier: no function of the reader is evaluated on rows of other partners.
"""

from __future__ import annotations

from lrs import resources
from lrs.errors import Conflict
from lrs.reports import tables
from lrs.reports.tables import REPORTS
from lrs.store.postgres import Connection

_GET_SCHEMA = resources.query("get_report_schema")
_COLUMN_COMMENTS = resources.sql_file("report_comments")

# The vendor's queries use `course_dim.xp`. As a column it would make an unqualified `xp` ambiguous
# in a join with course_fact; a function of the row is called with the same notation.
_COURSE_XP = (
    "create function {schema}.xp({schema}.course_dim) returns double precision"
    " language sql stable return ($1).course_xp"
)


async def list_readers(connection: Connection, partner_id: int, schema: str) -> list[str] | None:
    """The roles that can read the schema, None without a schema. Raises Conflict if not ours."""
    existing = await connection.fetchrow(_GET_SCHEMA, schema)
    if existing is None:
        return None
    if existing["comment"] != schema_comment(partner_id):
        raise Conflict(
            f"The schema {schema} does not contain the reports of this partner: "
            "choose another one with --schema."
        )
    return list(existing["readers"])


def create_schema(partner_id: int, schema: str) -> str:
    """The SQL that creates the schema with its views and comments, in one round trip."""
    name = quoted(schema)
    statements = [
        f"create schema {name}",
        f"comment on schema {name} is '{schema_comment(partner_id)}'",
    ]
    for table in REPORTS:
        view = f"{name}.{table.name}"
        # A view has no parameters: the partner id becomes a constant.
        rows = tables.select(table.name).replace("$1", str(partner_id))
        statements.append(f"create view {view} with (security_barrier) as\n{rows}")
        statements.append(f"comment on view {view} is '{table.description}'")
    statements += [
        _COURSE_XP.format(schema=name),
        f"set local search_path = {name}",
        _COLUMN_COMMENTS,
    ]
    return ";\n".join(statements)


def grant_read(schema: str, role: str) -> str:
    return (
        f"grant usage on schema {quoted(schema)} to {quoted(role)};"
        f"grant select on all tables in schema {quoted(schema)} to {quoted(role)}"
    )


def revoke_read(schema: str, role: str) -> str:
    return (
        f"revoke usage on schema {quoted(schema)} from {quoted(role)};"  # noqa: S608
        f"revoke select on all tables in schema {quoted(schema)} from {quoted(role)}"
    )


def schema_comment(partner_id: int) -> str:
    """The comment that marks a schema as the reports of a partner."""
    return f"lrs reports of partner {partner_id}"


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
