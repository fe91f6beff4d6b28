"""Database roles that read one partner's reports through a schema of views, and nothing else.

A view runs with the privileges of the server's own role, contains the partner id as a constant, and
is a security barrier: no function of the reader is evaluated on rows of other partners.
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
from lrs.reports import tables
from lrs.reports.tables import REPORTS
from lrs.store.postgres import translate_errors

_GET_ROLE = resources.query("get_role")
_GET_SCHEMA = resources.query("get_report_schema")
_COLUMN_COMMENTS = resources.sql_file("report_comments")

_ROLE_SETTINGS = {
    "default_transaction_read_only": "on",
    "statement_timeout": "'5min'",
    "idle_in_transaction_session_timeout": "'5min'",
    "timezone": "'UTC'",
}
_ROLE_CONNECTION_LIMIT = 20
_LOCK_TIMEOUT = "10s"

_HAS_TEMPORARY = "select has_database_privilege($1, current_database(), 'temporary')"

# The vendor's queries use `course_dim.xp`. As a column it would make an unqualified `xp` ambiguous
# in a join with course_fact; a function of the row is called with the same notation.
_COURSE_XP = (
    "create function {schema}.xp({schema}.course_dim) returns double precision"
    " language sql stable return ($1).course_xp"
)


@dataclass(frozen=True, slots=True)
class GrantResult:
    """The result of a grant.

    password_set                 the role has the new password
    limits_set                   the server's own role could change the role's settings
    can_create_temporary_tables  as every role can, unless revoked for the database
    """

    password_set: bool
    limits_set: bool
    can_create_temporary_tables: bool


class ReportRoles:
    """Grants and revokes read access to reports, in the database of a pool."""

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
        lacks the privileges, Unavailable if a reader holds a lock on the views.
        """
        _require_names(schema, role)
        async with _transaction(self._pool) as connection:
            existing = await _existing_role(connection, partner_id, role)
            set_password = existing is None or rotate_password
            if set_password:
                verb = "create" if existing is None else "alter"
                verifier = _scram_verifier(password)
                await connection.execute(f"{verb} role {_quoted(role)} login password '{verifier}'")
            readers = await _schema_readers(connection, partner_id, schema)
            if readers is not None:
                await connection.execute(f"drop schema {_quoted(schema)} cascade")
            await connection.execute(_create_schema(partner_id, schema))
            for reader in {role, *(readers or ())}:
                await connection.execute(_grant_read(schema, reader))
            limits_set = await _set_limits(connection, schema, role, existing)
            temporary = await connection.fetchval(_HAS_TEMPORARY, role)
            return GrantResult(set_password, limits_set, temporary)

    async def revoke(self, partner_id: int, *, schema: str, role: str) -> bool:
        """Drop the role, and with its last reader the schema.

        False if the role cannot be dropped. Raises NotFound if the role does not read the schema,
        Conflict if the schema exists for another purpose, and as `grant`.
        """
        _require_names(schema, role)
        async with _transaction(self._pool) as connection:
            readers = await _schema_readers(connection, partner_id, schema)
            if readers is None or (readers and role not in readers):
                raise NotFound(f"No role {role} reads a schema {schema}.")
            if readers == [role] or not readers:
                await connection.execute(f"drop schema {_quoted(schema)} cascade")
            else:
                await connection.execute(_revoke_read(schema, role))
            return await _drop_role(connection, role)


async def _existing_role(
    connection: PoolConnectionProxy, partner_id: int, role: str
) -> asyncpg.Record | None:
    """The role, None if there is none. Raises Conflict if it can do more than read the reports."""
    existing = await connection.fetchrow(_GET_ROLE, role, _schema_comment(partner_id))
    if existing and existing["has_other_privileges"]:
        raise Conflict(
            f"The role {role} has other privileges than reading the reports of this partner: "
            "choose another one with --role."
        )
    return existing


async def _schema_readers(
    connection: PoolConnectionProxy, partner_id: int, schema: str
) -> list[str] | None:
    """The roles that can read the schema, None without a schema. Raises Conflict if not ours."""
    existing = await connection.fetchrow(_GET_SCHEMA, schema)
    if existing is None:
        return None
    if existing["comment"] != _schema_comment(partner_id):
        raise Conflict(
            f"The schema {schema} does not contain the reports of this partner: "
            "choose another one with --schema."
        )
    return list(existing["readers"])


def _create_schema(partner_id: int, schema: str) -> str:
    """The SQL that creates the schema with its views and comments, in one round trip."""
    name = _quoted(schema)
    statements = [
        f"create schema {name}",
        f"comment on schema {name} is '{_schema_comment(partner_id)}'",
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


def _grant_read(schema: str, role: str) -> str:
    return (
        f"grant usage on schema {_quoted(schema)} to {_quoted(role)};"
        f"grant select on all tables in schema {_quoted(schema)} to {_quoted(role)}"
    )


def _revoke_read(schema: str, role: str) -> str:
    return (
        f"revoke usage on schema {_quoted(schema)} from {_quoted(role)};"
        f"revoke select on all tables in schema {_quoted(schema)} from {_quoted(role)}"
    )


async def _set_limits(
    connection: PoolConnectionProxy, schema: str, role: str, existing: asyncpg.Record | None
) -> bool:
    """Set the role's time limits, connection limit and search path.

    Settings that an existing role has are kept, because an administrator may have changed them.
    False if the server's own role cannot change the role.
    """
    kept = existing["settings"] if existing else ()
    missing = {name: value for name, value in _ROLE_SETTINGS.items() if name not in kept}
    settings = {**missing, "search_path": _quoted(schema)}
    changes = [f"set {name} = {value}" for name, value in settings.items()]
    if existing is None or existing["unlimited"]:
        changes.append(f"connection limit {_ROLE_CONNECTION_LIMIT}")
    try:
        async with connection.transaction():
            for change in changes:
                await connection.execute(f"alter role {_quoted(role)} {change}")
    except asyncpg.InsufficientPrivilegeError:
        return False
    return True


async def _drop_role(connection: PoolConnectionProxy, role: str) -> bool:
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


@asynccontextmanager
async def _transaction(pool: asyncpg.Pool) -> AsyncIterator[PoolConnectionProxy]:
    with translate_errors(), _explain_errors():
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute(f"set local lock_timeout = '{_LOCK_TIMEOUT}'")
            yield connection


@contextmanager
def _explain_errors() -> Iterator[None]:
    try:
        yield
    except asyncpg.InsufficientPrivilegeError as error:
        raise Forbidden(
            f"The server's database role lacks a privilege ({error}). An administrator of the "
            "database can grant the creation of roles (alter role … createrole) and of schemas "
            "(grant create on database … to …)."
        ) from None
    except asyncpg.LockNotAvailableError:
        raise Unavailable("A query is reading these reports; retry when it ends.") from None


def _require_names(*names: str) -> None:
    for name in names:
        if not name.isprintable() or not 0 < len(name.encode()) <= 63 or name.startswith("pg_"):
            raise InvalidParameter(
                f"Invalid name of a schema or role: {name[:80]!r}. Expected 1 to 63 bytes of "
                "printable characters that do not begin with pg_. See --schema and --role."
            )


def _schema_comment(partner_id: int) -> str:
    """The comment that marks a schema as the reports of a partner."""
    return f"lrs reports of partner {partner_id}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _scram_verifier(password: str) -> str:
    """The SCRAM-SHA-256 verifier that PostgreSQL stores (RFC 5803).

    It is sent in place of the password, which would otherwise appear in the database's logs.
    """
    salt, iterations = os.urandom(16), 4096
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    parts = (salt, hashlib.sha256(client_key).digest(), server_key)
    salt64, stored64, server64 = (base64.b64encode(part).decode() for part in parts)
    return f"SCRAM-SHA-256${iterations}:{salt64}${stored64}:{server64}"
