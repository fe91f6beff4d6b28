"""Reporting roles of a disabled partner: they lose access, and get it back.

Each role loses the rights to read the partner's views; one without another purpose may not log in
either. Who reads the schema stays: this is what is given back.
"""

from __future__ import annotations

from typing import cast

import asyncpg

from lrs import resources
from lrs.reports.report_schema import quoted, schema_comment
from lrs.store.postgres import Connection, Database, open_transaction, translate_errors

_READERS = resources.query("list_readers_of_partner")
_GET_ROLE = resources.query("get_role")
_END_SESSIONS = resources.query("end_role_sessions")


async def suspend(database: Database, partner_id: int) -> list[str]:
    """Takes the access of the partner's reporting roles, in a transaction; returns their names."""
    return await _change(database, partner_id, is_suspended=True)


async def resume(database: Database, partner_id: int) -> list[str]:
    """Gives the partner's reporting roles their access again; returns their names."""
    return await _change(database, partner_id, is_suspended=False)


async def end_sessions(database: Database, partner_id: int) -> None:
    """Ends the sessions of the partner's reporting roles, as far as the server may end them.

    The watchdog ends those that a role has begun in the moment before it lost its login.
    """
    comment = schema_comment(partner_id)
    with translate_errors():
        for reader in await database.readers.fetch(_READERS, comment):
            if not await _is_dedicated(database, reader["role"], comment):
                continue
            try:
                await database.readers.fetchval(_END_SESSIONS, reader["role"])
            except asyncpg.InsufficientPrivilegeError:
                continue


async def _change(database: Database, partner_id: int, *, is_suspended: bool) -> list[str]:
    comment, login = schema_comment(partner_id), "nologin" if is_suspended else "login"
    roles: list[str] = []
    async with open_transaction(database) as transaction:
        connection = cast(Connection, transaction.readers)
        for schema, role in await connection.fetch(_READERS, comment):
            await connection.execute(_access(schema, role, is_suspended=is_suspended))
            if await _is_dedicated(transaction, role, comment):
                await _try(transaction, f"alter role {quoted(role)} {login}")
            roles.append(role)
    return sorted(set(roles))


def _access(schema: str, role: str, *, is_suspended: bool) -> str:
    tables = f"select on all tables in schema {quoted(schema)}"
    if is_suspended:
        return f"revoke {tables} from {quoted(role)}"
    return f"grant {tables} to {quoted(role)}"


async def _is_dedicated(database: Database, role: str, comment: str) -> bool:
    """Whether the role has no other purpose than to read the reports of the partner."""
    row = await database.readers.fetchrow(_GET_ROLE, role, comment)
    return bool(row and row["is_dedicated"] and not row["has_other_privileges"])


async def _try(database: Database, sql: str) -> None:
    """Runs a statement for which the server's own role may lack the privilege."""
    try:
        async with cast(asyncpg.Connection, database.readers).transaction():
            await database.readers.execute(sql)
    except asyncpg.InsufficientPrivilegeError:
        return
