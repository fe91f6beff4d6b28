"""Roles that read one partner's reports: a schema of views, and nothing else.

A view runs with the rights of the role that the server connects as, holds the partner's id as a
constant, and is a security barrier: no function of the reader's sees a row of another partner.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from lrs import resources
from lrs.errors import Conflict, Forbidden, InvalidParameter, NotFound, Unavailable
from lrs.reports import table_queries
from lrs.reports.tables import REPORTS
from lrs.store.postgres import translate_errors

_ROLE = resources.query("get_role")
_SCHEMA = resources.query("get_report_schema")
_COMMENTS = resources.sql_file("report_comments")

_SETTINGS = {
    "default_transaction_read_only": "on",
    "statement_timeout": "'5min'",
    "idle_in_transaction_session_timeout": "'5min'",
    "timezone": "'UTC'",
}
_CONNECTIONS = 20

_TEMPORARY = "select has_database_privilege($1, current_database(), 'temporary')"

# What keeps `course_dim.xp` going: xp alone would be ambiguous beside the xp of course_fact.
_XP = (
    "create function {schema}.xp({schema}.course_dim) returns double precision"
    " language sql stable return ($1).course_xp"
)


@dataclass(frozen=True, slots=True)
class GrantResult:
    """What `grant` found and did.

    `told` says that the password is the role's now, `limited` that its settings could be set,
    `temporary` that it may make temporary tables, as everybody may in this database.
    """

    password_set: bool
    limits_set: bool
    can_create_temporary_tables: bool


class ReportRoles:
    """What roles may read, in the database of one pool."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def grant(
        self,
        partner_id: int,
        *,
        schema: str,
        role: str,
        password: str,
        rotate_password: bool = False,
    ) -> GrantResult:
        """Create or replace the schema of views; create the role unless it exists.

        A new role gets the password; an existing role gets it with `rotate_password` only. Raises
        Conflict if schema or role exist for another purpose, Forbidden if the server's own role
        lacks the privileges.
        """
        _require_names(schema, role)
        async with _transaction(self._pool) as connection:
            known = await connection.fetchrow(_ROLE, role, _mark(partner_id))
            if known and known["unfit"]:
                raise Conflict(
                    f"The role {role} may do more than read the reports of this partner: "
                    "choose another one with --role."
                )
            if known is None or rotate_password:
                verb = "create" if known is None else "alter"
                await connection.execute(
                    f"{verb} role {_quoted(role)} login password '{_verifier(password)}'"
                )
            readers = await _readers(connection, partner_id, schema)
            if readers is not None:
                await connection.execute(f"drop schema {_quoted(schema)} cascade")
            await connection.execute(_schema(partner_id, schema))
            for reader in {role, *(readers or ())}:
                await connection.execute(_reading("grant", schema, "to", reader))
            limited = await _limit(connection, schema, role, known)
            temporary = await connection.fetchval(_TEMPORARY, role)
            return GrantResult(known is None or rotate_password, limited, temporary)

    async def revoke(self, partner_id: int, *, schema: str, role: str) -> bool:
        """Drops the role, and with the last one the schema; False if it cannot drop the role.

        Raises NotFound if the role does not read the schema, Conflict if that is something else.
        """
        _require_names(schema, role)
        async with _transaction(self._pool) as connection:
            readers = await _readers(connection, partner_id, schema)
            if readers is None or (readers and role not in readers):
                raise NotFound(f"There is no role {role} that reads a schema {schema}.")
            if readers == [role] or not readers:
                await connection.execute(f"drop schema {_quoted(schema)} cascade")
            else:
                await connection.execute(_reading("revoke", schema, "from", role))
            return await _drop(connection, role)


async def _drop(connection: PoolConnectionProxy, role: str) -> bool:
    try:
        async with connection.transaction():
            await connection.execute(f"drop role {_quoted(role)}")
    except (
        asyncpg.InsufficientPrivilegeError,
        asyncpg.DependentObjectsStillExistError,
        asyncpg.UndefinedObjectError,
    ):
        return False
    return True


async def _readers(
    connection: PoolConnectionProxy, partner_id: int, schema: str
) -> list[str] | None:
    """Who may read the schema; None if there is none. Raises Conflict if it is something else."""
    there = await connection.fetchrow(_SCHEMA, schema)
    if there is None:
        return None
    if there["comment"] != _mark(partner_id):
        raise Conflict(
            f"The schema {schema} holds something else than this partner's reports: "
            "choose another one with --schema."
        )
    return list(there["readers"])


def _schema(partner_id: int, schema: str) -> str:
    """The statements that make the schema and its views, for one round trip."""
    name = _quoted(schema)
    parts = [f"create schema {name}", f"comment on schema {name} is '{_mark(partner_id)}'"]
    for table in REPORTS:
        view = f"{name}.{table.name}"
        select = table_queries.select(table.name).replace("$1", str(partner_id))
        parts.append(f"create view {view} with (security_barrier) as\n{select}")
        parts.append(f"comment on view {view} is '{table.description}'")
    parts += [_XP.format(schema=name), f"set local search_path = {name}", _COMMENTS]
    return ";\n".join(parts)


def _reading(verb: str, schema: str, preposition: str, role: str) -> str:
    name, reader = _quoted(schema), f"{preposition} {_quoted(role)}"
    return (
        f"{verb} usage on schema {name} {reader};"
        f"{verb} select on all tables in schema {name} {reader}"
    )


async def _limit(
    connection: PoolConnectionProxy, schema: str, role: str, known: asyncpg.Record | None
) -> bool:
    """Sets what keeps a reader from harm; False if the role is not the server's to change.

    What a known role has already stays: an administrator may have changed it.
    """
    there = known["settings"] if known else ()
    missing = {name: value for name, value in _SETTINGS.items() if name not in there}
    settings = {**missing, "search_path": _quoted(schema)}
    changes = [f"set {name} = {value}" for name, value in settings.items()]
    if known is None or known["unlimited"]:
        changes.append(f"connection limit {_CONNECTIONS}")
    try:
        async with connection.transaction():
            for change in changes:
                await connection.execute(f"alter role {_quoted(role)} {change}")
    except asyncpg.InsufficientPrivilegeError:
        return False
    return True


@asynccontextmanager
async def _transaction(pool: asyncpg.Pool) -> AsyncIterator[PoolConnectionProxy]:
    with translate_errors(), _explained():
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute("set local lock_timeout = '10s'")
            yield connection


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except asyncpg.InsufficientPrivilegeError as error:
        raise Forbidden(
            f"The role that the server connects as may not do this ({error}): an administrator of "
            "the database can let it make roles (alter role … createrole) and schemas "
            "(grant create on database … to …)."
        ) from None
    except asyncpg.LockNotAvailableError:
        raise Unavailable(
            "Somebody is reading these reports: try again when the query is done."
        ) from None


def _require_names(*names: str) -> None:
    for name in names:
        if not name.isprintable() or not 0 < len(name.encode()) <= 63 or name.startswith("pg_"):
            raise InvalidParameter(
                f"{name[:80]!r} cannot be the name of a schema or role: it must be 1 to 63 "
                "printable characters, and not begin with pg_. See --schema and --role."
            )


def _mark(partner_id: int) -> str:
    return f"lrs reports of partner {partner_id}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _verifier(password: str) -> str:
    """What PostgreSQL keeps of a password (RFC 5803), so that no log of its own ever shows it."""
    salt, rounds = os.urandom(16), 4096
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, rounds)
    client = hmac.digest(salted, b"Client Key", "sha256")
    server = hmac.digest(salted, b"Server Key", "sha256")
    keys = (salt, hashlib.sha256(client).digest(), server)
    salt64, stored64, server64 = (base64.b64encode(each).decode() for each in keys)
    return f"SCRAM-SHA-256${rounds}:{salt64}${stored64}:{server64}"
