"""Operators, their sessions, links and tokens.

None of them writes statements: connections of writers hold back the watermark.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import asyncpg

from lrs.errors import Conflict, NotFound
from lrs.store.named_queries import fetch_for_input
from lrs.store.postgres import Database

SessionKind = Literal["link", "session", "token"]


@dataclass(frozen=True, slots=True)
class StoredOperator:
    """A row of the table `operator`; `partner_ids` None: every partner."""

    email: str
    role: str
    partner_ids: frozenset[int] | None
    password_hash: str | None
    created_at: datetime
    disabled_at: datetime | None
    last_login_at: datetime | None


@dataclass(frozen=True, slots=True)
class StoredSession:
    """The operator of a session or token. `is_stale`: its last use is to be recorded again."""

    email: str
    role: str
    partner_ids: frozenset[int] | None
    kind: SessionKind
    is_stale: bool


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A link, session or token of an operator; the id identifies it and opens nothing."""

    session_id: str
    kind: SessionKind
    label: str
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime


async def add(
    database: Database, email: str, role: str, partner_ids: frozenset[int] | None
) -> None:
    """Raises Conflict if the operator exists."""
    if not await fetch_for_input(
        database.readers, "insert_operator", email, role, _array(partner_ids)
    ):
        raise Conflict(f"Operator {email!r} already exists.")


async def find(database: Database, email: str) -> StoredOperator | None:
    rows = await fetch_for_input(database.readers, "get_operator", email)
    return _operator(rows[0]) if rows else None


async def lock(database: Database, email: str) -> StoredOperator:
    """The operator, locked until the end of the transaction. Raises NotFound."""
    rows = await fetch_for_input(database.readers, "lock_operator", email)
    if not rows:
        raise NotFound(f"Operator {email!r} not found.")
    return _operator(rows[0])


async def fetch_page(
    database: Database, *, after: str, limit: int, within: frozenset[int] | None = None
) -> list[StoredOperator]:
    """The next operators by email; `within`: only those that see no other partners."""
    rows = await fetch_for_input(database.readers, "list_operators", after, _array(within), limit)
    return [_operator(row) for row in rows]


async def exist(database: Database) -> bool:
    """Whether there is any operator."""
    return bool((await fetch_for_input(database.readers, "has_operators"))[0][0])


async def count_unrestricted_owners(database: Database) -> int:
    return int((await fetch_for_input(database.readers, "count_unrestricted_owners"))[0][0])


async def update(
    database: Database,
    email: str,
    *,
    role: str,
    partner_ids: frozenset[int] | None,
    disabled_at: datetime | None,
) -> None:
    await fetch_for_input(
        database.readers, "update_operator", email, role, _array(partner_ids), disabled_at
    )


async def set_password(database: Database, email: str, password_hash: str) -> None:
    """Raises NotFound if the operator does not exist, or is disabled."""
    if not await fetch_for_input(database.readers, "set_operator_password", email, password_hash):
        raise NotFound(f"Operator {email!r} not found, or disabled.")


async def record_login(database: Database, email: str) -> None:
    await fetch_for_input(database.readers, "set_operator_login", email)


async def add_session(
    database: Database,
    token_hash: bytes,
    email: str,
    kind: SessionKind,
    *,
    seconds: float,
    label: str = "",
) -> datetime:
    """Adds a link, session or token; returns when it expires."""
    rows = await fetch_for_input(
        database.readers, "insert_operator_session", token_hash, email, kind, label, seconds
    )
    expires_at: datetime = rows[0]["expires_at"]
    return expires_at


async def find_session(
    database: Database, token_hash: bytes, idle_seconds: float
) -> StoredSession | None:
    """The session or token, unless it has expired or its operator is disabled."""
    rows = await fetch_for_input(database.readers, "get_operator_session", token_hash, idle_seconds)
    if not rows:
        return None
    return StoredSession(**{**rows[0], "partner_ids": _set(rows[0]["partner_ids"])})


async def touch_session(database: Database, token_hash: bytes) -> None:
    await fetch_for_input(database.readers, "touch_operator_session", token_hash)


async def find_link(database: Database, token_hash: bytes) -> str | None:
    """The email of the operator of a link that can be used."""
    rows = await fetch_for_input(database.readers, "get_operator_link", token_hash)
    return str(rows[0]["email"]) if rows else None


async def use_link(database: Database, token_hash: bytes) -> str | None:
    """Deletes a link; the email of its operator, None if it is used or has expired."""
    rows = await fetch_for_input(database.readers, "delete_operator_link", token_hash)
    return str(rows[0]["email"]) if rows else None


async def end_session(database: Database, token_hash: bytes) -> str | None:
    """Ends a session; the email of its operator."""
    rows = await fetch_for_input(database.readers, "delete_operator_session", token_hash)
    return str(rows[0]["email"]) if rows else None


async def list_sessions(database: Database, email: str, limit: int) -> list[SessionRow]:
    """Links, sessions and tokens that have not expired, newest first."""
    return [
        SessionRow(**row)
        for row in await fetch_for_input(database.readers, "list_operator_sessions", email, limit)
    ]


async def end_session_by_id(
    database: Database, email: str, session_id: str
) -> tuple[SessionKind, str] | None:
    """Ends one link, session or token; returns its kind and label, None if there is none."""
    rows = await fetch_for_input(
        database.readers, "delete_operator_session_by_id", email, session_id
    )
    return (rows[0]["kind"], rows[0]["label"]) if rows else None


async def end_sessions(database: Database, email: str, kinds: Collection[SessionKind]) -> None:
    await fetch_for_input(database.readers, "delete_operator_sessions", email, [*kinds])


async def delete_expired_sessions(database: Database) -> None:
    await fetch_for_input(database.readers, "delete_expired_operator_sessions")


def _operator(row: asyncpg.Record) -> StoredOperator:
    return StoredOperator(**{**row, "partner_ids": _set(row["partner_ids"])})


def _array(partner_ids: frozenset[int] | None) -> Sequence[int] | None:
    return None if partner_ids is None else sorted(partner_ids)


def _set(partner_ids: Sequence[int] | None) -> frozenset[int] | None:
    return None if partner_ids is None else frozenset(partner_ids)
