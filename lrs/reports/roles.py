"""Database roles that read one partner's reports, and nothing else: grant and revoke."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from lrs import resources
from lrs.errors import Conflict, Forbidden, InvalidParameter, NotFound, Unavailable
from lrs.reports.report_schema import (
    create_schema,
    grant_read,
    list_readers,
    quoted,
    revoke_read,
    schema_comment,
)
from lrs.reports.scram import scram_verifier
from lrs.store.postgres import translate_errors

Result = TypeVar("Result")

_GET_ROLE = resources.query("get_role")
_GET_PRIVILEGES = resources.query("get_role_privileges")
_MISSING_SETTINGS = resources.query("list_missing_settings")
_EXCESS_FUNCTIONS = resources.query("list_excess_functions")
_END_SESSIONS = resources.query("end_role_sessions")
_PREPARED_TRANSACTIONS = resources.query("list_prepared_transactions")
_END_READERS = resources.query("end_schema_readers")

_ROLE_SETTINGS = {
    "default_transaction_read_only": "on",
    "statement_timeout": "'5min'",
    "idle_in_transaction_session_timeout": "'5min'",
    "timezone": "'UTC'",
}
_ROLE_CONNECTION_LIMIT = 20
_ROLE_COMMENT = "lrs reporting role"  # queries compare it

# A role cannot lift these for itself.
_SUPERUSER_SETTINGS = {
    "temp_file_limit": "'512MB'",
    "log_min_messages": "panic",
    "log_min_error_statement": "panic",
}

_MAX_ATTEMPTS = 5
_END_TIMEOUT_SECONDS = 10.0
_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class GrantResult:
    """The result of a grant.

    password_set      the role has the new password
    limits_set        the server's own role could change the role's settings
    sessions_limited  the server can end the role's sessions: see lrs.reports.watchdog
    excess            SQL by which an administrator takes from the role what a reader does not need
    """

    password_set: bool
    limits_set: bool
    sessions_limited: bool
    excess: tuple[str, ...]


class ReportRoles:
    """Grants and revokes read access to reports, in the database of a pool."""

    def __init__(self, pool: asyncpg.Pool, *, lock_timeout_seconds: float = 10.0) -> None:
        self._pool = pool
        self._lock_timeout_seconds = lock_timeout_seconds

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

        A new role gets the password; an existing role gets it with `rotate_password` only. Waits
        for open transactions on the views, then ends their sessions. Raises Conflict if schema or
        role exist for another purpose, Forbidden if the server's own role lacks the privileges,
        Unavailable if another session holds a lock on the views.
        """
        _require_names(schema, role)

        async def change(connection: PoolConnectionProxy) -> GrantResult:
            existing = await _existing_role(connection, partner_id, role)
            set_password = existing is None or rotate_password
            await _create_or_alter_role(
                connection, role, existing, password if set_password else ""
            )
            readers = await list_readers(connection, partner_id, schema)
            if readers is not None:
                await connection.execute(f"drop schema {quoted(schema)} cascade")
            await connection.execute(create_schema(partner_id, schema))
            for reader in {role, *(readers or ())}:
                await connection.execute(grant_read(schema, reader))
            limits_set = await _set_limits(connection, schema, role, existing)
            await _join(connection, role)
            (privileges,) = await connection.fetch(_GET_PRIVILEGES, role)
            excess = await _excess(connection, role, privileges)
            return GrantResult(set_password, limits_set, privileges["sessions_limited"], excess)

        return await self._change(schema, change)

    async def revoke(self, partner_id: int, *, schema: str, role: str) -> bool:
        """End the role's sessions, drop the role, and with its last reader the schema.

        A role that has another purpose keeps its sessions and only loses the schema. False if the
        role cannot be dropped. Raises NotFound if the role does not read the schema, Conflict if
        the schema exists for another purpose, and as `grant`.
        """
        _require_names(schema, role)

        async def disable(connection: PoolConnectionProxy) -> asyncpg.Record | None:
            """The role, which cannot log in any more; None if it has another purpose."""
            readers = await list_readers(connection, partner_id, schema)
            if readers is None or (readers and role not in readers):
                raise NotFound(f"No role {role} reads a schema {schema}.")
            existing = await connection.fetchrow(_GET_ROLE, role, schema_comment(partner_id))
            if not existing or existing["has_other_privileges"] or not existing["is_dedicated"]:
                return None
            await _join(connection, role)
            await _try(connection, f"alter role {quoted(role)} nologin")
            return existing

        async def drop(connection: PoolConnectionProxy) -> bool:
            readers = await list_readers(connection, partner_id, schema)
            if readers == [role] or not readers:
                await connection.execute(f"drop schema if exists {quoted(schema)} cascade")
            else:
                await connection.execute(revoke_read(schema, role))
            if dedicated and not dedicated["owns_objects"]:
                await _try(connection, f"drop owned by {quoted(role)} restrict")
            return await _try(connection, f"drop role {quoted(role)}")

        dedicated = await self._change(schema, disable)
        if dedicated:
            await self._end_sessions(role)
            await self._roll_back_prepared(role)
        return await self._change(schema, drop)

    async def _change(
        self, schema: str, change: Callable[[PoolConnectionProxy], Awaitable[Result]]
    ) -> Result:
        """Run a transaction; if a reader's lock delays it, end the reader's session and retry."""
        timeout = self._lock_timeout_seconds
        for _ in range(_MAX_ATTEMPTS):
            with translate_errors(), _explain_errors():
                try:
                    async with self._pool.acquire() as connection, connection.transaction():
                        await connection.execute(f"set local lock_timeout = '{timeout}s'")
                        return await change(connection)
                except asyncpg.LockNotAvailableError:
                    await self._pool.execute(_END_READERS, schema)
            timeout = min(timeout, 1.0)
        raise Unavailable("Another session holds a lock on these reports; retry when it ends.")

    async def _end_sessions(self, role: str) -> None:
        """End the sessions of a role, and wait for their end."""
        with translate_errors(), suppress(asyncpg.InsufficientPrivilegeError):
            deadline = time.monotonic() + _END_TIMEOUT_SECONDS
            while await self._pool.fetchval(_END_SESSIONS, role):
                if time.monotonic() > deadline:
                    return
                await asyncio.sleep(_POLL_SECONDS)

    async def _roll_back_prepared(self, role: str) -> None:
        """Roll back the prepared transactions of a role, which only itself and a superuser can."""
        with translate_errors(), suppress(asyncpg.InsufficientPrivilegeError):
            async with self._pool.acquire() as connection:
                for row in await connection.fetch(_PREPARED_TRANSACTIONS, role):
                    await connection.execute(f"set role {quoted(role)}")
                    try:
                        await connection.execute(f"rollback prepared {row['gid']}")
                    finally:
                        await connection.execute("reset role")


async def _existing_role(
    connection: PoolConnectionProxy, partner_id: int, role: str
) -> asyncpg.Record | None:
    """The role, None if there is none. Raises Conflict if it can do more than read the reports."""
    existing = await connection.fetchrow(_GET_ROLE, role, schema_comment(partner_id))
    if existing and existing["has_other_privileges"]:
        raise Conflict(
            f"The role {role} has other privileges than reading the reports of this partner: "
            "choose another one with --role."
        )
    return existing


async def _create_or_alter_role(
    connection: PoolConnectionProxy, role: str, existing: asyncpg.Record | None, password: str
) -> None:
    """Create the role, or enable it again; a non-empty password is set."""
    name = quoted(role)
    options = (
        f"login password '{scram_verifier(password, os.urandom(16))}'" if password else "login"
    )
    if existing is None:
        await connection.execute(f"create role {name} {options}")
        await connection.execute(f"comment on role {name} is '{_ROLE_COMMENT}'")
    elif password:
        await connection.execute(f"alter role {name} {options}")
    else:
        await _try(connection, f"alter role {name} {options}")


async def _set_limits(
    connection: PoolConnectionProxy, schema: str, role: str, existing: asyncpg.Record | None
) -> bool:
    """Set the role's time limits, connection limit and search path.

    Settings that an existing role has are kept, because an administrator may have changed them.
    False if the server's own role cannot change the role.
    """
    kept = existing["settings"] if existing else ()
    missing = {name: value for name, value in _ROLE_SETTINGS.items() if name not in kept}
    settings = {**missing, "search_path": quoted(schema)}
    changes = [f"set {name} = {value}" for name, value in settings.items()]
    if existing is None or existing["unlimited"]:
        changes.append(f"connection limit {_ROLE_CONNECTION_LIMIT}")
    try:
        async with connection.transaction():
            for change in changes:
                await connection.execute(f"alter role {quoted(role)} {change}")
    except asyncpg.InsufficientPrivilegeError:
        return False
    return True


async def _join(connection: PoolConnectionProxy, role: str) -> None:
    """Make the server's role a member of the role: it then sees and may end its sessions.

    Without the privilege to do so, the server may still be allowed to see and end all sessions.
    """
    version = connection.get_server_version()
    options = " with inherit true, set true" if version.major >= 16 else ""
    await _try(connection, f"grant {quoted(role)} to current_user{options}")


async def _excess(
    connection: PoolConnectionProxy, role: str, privileges: asyncpg.Record
) -> tuple[str, ...]:
    """SQL by which an administrator takes from the role what a reader does not need.

    On the embedded database PUBLIC has lost it already. Settings that the server may set are set.
    """
    excess = []
    if privileges["temporary"]:
        excess.append(f"revoke temporary on database {quoted(privileges['database'])} from public")
    if functions := [row["function"] for row in await connection.fetch(_EXCESS_FUNCTIONS)]:
        excess.append(f"revoke execute on function {', '.join(functions)} from public")
    if privileges["plpgsql"]:
        excess.append("revoke usage on language plpgsql from public")
    if privileges["prepared_transactions"]:
        excess.append("alter system set max_prepared_transactions = 0")
    for row in await connection.fetch(_MISSING_SETTINGS, role, list(_SUPERUSER_SETTINGS)):
        name = row["name"]
        change = f"alter role {quoted(role)} set {name} = {_SUPERUSER_SETTINGS[name]}"
        if not await _try(connection, change):
            excess.append(change)
    return tuple(excess)


async def _try(connection: PoolConnectionProxy, sql: str) -> bool:
    """Whether the statement succeeded; False without the privilege or with dependent objects."""
    try:
        async with connection.transaction():
            await connection.execute(sql)
    except (
        asyncpg.InsufficientPrivilegeError,
        asyncpg.DependentObjectsStillExistError,
        asyncpg.UndefinedObjectError,
    ):
        return False
    return True


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


def _require_names(*names: str) -> None:
    for name in names:
        if not name.isprintable() or not 0 < len(name.encode()) <= 63 or name.startswith("pg_"):
            raise InvalidParameter(
                f"Invalid name of a schema or role: {name[:80]!r}. Expected 1 to 63 bytes of "
                "printable characters that do not begin with pg_. See --schema and --role."
            )
