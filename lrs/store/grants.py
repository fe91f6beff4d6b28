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
from lrs.reporting.tables import REPORTS
from lrs.store import reports
from lrs.store.database import errors_translated

_ROLE = resources.sql("reporting/roles/role")
_SCHEMA = resources.sql("reporting/roles/schema")

_SETTINGS = {
    "default_transaction_read_only": "on",
    "statement_timeout": "5min",
    "idle_in_transaction_session_timeout": "5min",
    "timezone": "UTC",
}
_CONNECTIONS = 20

_TEMPORARY = "select has_database_privilege($1, current_database(), 'temporary')"

# What keeps `course_dim.xp` going: xp alone would be ambiguous beside the xp of course_fact.
_XP = (
    "create function {schema}.xp({schema}.course_dim) returns double precision"
    " language sql stable return ($1).course_xp"
)


@dataclass(frozen=True, slots=True)
class Granted:
    """What `grant` found and did.

    `created` says that the role is new, `limited` that its settings could be set, `temporary` that
    it may make temporary tables, as everybody may in this database.
    """

    created: bool
    limited: bool
    temporary: bool


class Grants:
    """What roles may read, in the database of one pool."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def grant(self, partner_id: int, *, schema: str, role: str, password: str) -> Granted:
        """Makes the schema, anew if it is there, and the role, with the password, if it is not.

        Raises Conflict if either is something else already, Forbidden if the server may not.
        """
        _require_names(schema, role)
        async with _transaction(self._pool) as connection:
            known = await connection.fetchrow(_ROLE, role, _mark(partner_id))
            if known and known["unfit"]:
                raise Conflict(
                    f"The role {role} may do more than read the reports of this partner: "
                    "choose another one with --role."
                )
            if known is None:
                await connection.execute(
                    f"create role {_quoted(role)} login connection limit {_CONNECTIONS}"
                    f" password '{_verifier(password)}'"
                )
            readers = await _drop_schema(connection, partner_id, schema)
            await _create_schema(connection, partner_id, schema)
            for reader in {role, *readers}:
                await _let_read(connection, schema, reader)
            limited = await _limit(connection, schema, role)
            temporary = await connection.fetchval(_TEMPORARY, role)
            return Granted(known is None, limited, temporary)

    async def revoke(self, partner_id: int, *, schema: str, role: str) -> bool:
        """Drops the schema and the role; False if the role is not the server's to drop.

        Raises NotFound if there is no such schema, Conflict if it is something else.
        """
        _require_names(schema, role)
        async with _transaction(self._pool) as connection:
            if await connection.fetchrow(_SCHEMA, schema) is None:
                raise NotFound(f"There is no schema {schema}.")
            known = await connection.fetchrow(_ROLE, role, _mark(partner_id))
            await _drop_schema(connection, partner_id, schema)
            return known is not None and not known["unfit"] and await _drop(connection, role)


async def _drop(connection: PoolConnectionProxy, role: str) -> bool:
    try:
        async with connection.transaction():
            await connection.execute(f"drop role {_quoted(role)}")
    except (asyncpg.InsufficientPrivilegeError, asyncpg.DependentObjectsStillExistError):
        return False
    return True


async def _drop_schema(connection: PoolConnectionProxy, partner_id: int, schema: str) -> list[str]:
    """Who could read the schema that was there."""
    there = await connection.fetchrow(_SCHEMA, schema)
    if there is None:
        return []
    if there["comment"] != _mark(partner_id):
        raise Conflict(
            f"The schema {schema} holds something else than this partner's reports: "
            "choose another one with --schema."
        )
    await connection.execute(f"drop schema {_quoted(schema)} cascade")
    readers: list[str] = there["readers"]
    return readers


async def _create_schema(connection: PoolConnectionProxy, partner_id: int, schema: str) -> None:
    name = _quoted(schema)
    await connection.execute(f"create schema {name}")
    await connection.execute(f"comment on schema {name} is '{_mark(partner_id)}'")
    for table in REPORTS:
        select = reports.select(table.name).replace("$1", str(partner_id))
        await connection.execute(
            f"create view {name}.{table.name} with (security_barrier) as\n{select}"
        )
    await connection.execute(_XP.format(schema=name))


async def _let_read(connection: PoolConnectionProxy, schema: str, role: str) -> None:
    name, reader = _quoted(schema), _quoted(role)
    await connection.execute(f"grant usage on schema {name} to {reader}")
    await connection.execute(f"grant select on all tables in schema {name} to {reader}")


async def _limit(connection: PoolConnectionProxy, schema: str, role: str) -> bool:
    """Sets what keeps a reader from harm; False if the role is not the server's to change."""
    settings = {**_SETTINGS, "search_path": _quoted(schema)}
    try:
        async with connection.transaction():
            for setting, value in settings.items():
                shown = value if setting == "search_path" else f"'{value}'"
                await connection.execute(f"alter role {_quoted(role)} set {setting} = {shown}")
    except asyncpg.InsufficientPrivilegeError:
        return False
    return True


@asynccontextmanager
async def _transaction(pool: asyncpg.Pool) -> AsyncIterator[PoolConnectionProxy]:
    with errors_translated(), _explained():
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
