"""Audit entries: append-only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from lrs import resources
from lrs.store.postgres import Database, translate_errors

SERVER = 0
"""The partner_id of an entry that belongs to no partner."""

NEWEST = (datetime(9999, 1, 1, tzinfo=UTC), UUID(int=2**128 - 1))
"""The position before the newest entry."""

_INSERT = resources.query("insert_audit_entry")
_PAGE = resources.query("list_audit_entries")


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change or one view of a learner.

    `before` and `after` have the members that differ; `partner` is None for an entry of no partner.
    """

    at: datetime
    entry_id: UUID
    partner: str | None
    operator: str
    via: str
    action: str
    object: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    request_id: str | None


async def append(
    database: Database,
    *,
    partner_id: int,
    operator: str,
    via: str,
    action: str,
    subject: str,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
    request_id: str | None,
) -> None:
    """Adds an entry, in the transaction of the change if there is one."""
    with translate_errors():
        await database.readers.execute(
            _INSERT,
            partner_id,
            operator,
            via,
            action,
            subject,
            _json(before),
            _json(after),
            request_id,
        )


async def fetch_page(
    database: Database,
    *,
    before: tuple[datetime, UUID],
    within: frozenset[int] | None,
    by: str | None,
    action: str | None,
    subject: str | None,
    since: datetime | None,
    limit: int,
) -> list[AuditEntry]:
    """The entries before a position, newest first; None is no filter."""
    ids = None if within is None else sorted(within)
    with translate_errors():
        rows = await database.readers.fetch(_PAGE, *before, ids, by, action, subject, since, limit)
    return [
        AuditEntry(**{**row, "before": _members(row["before"]), "after": _members(row["after"])})
        for row in rows
    ]


def _json(members: Mapping[str, Any] | None) -> str | None:
    return None if members is None else msgspec.json.encode(members).decode()


def _members(text: str | None) -> dict[str, Any] | None:
    return None if text is None else msgspec.json.decode(text, type=dict[str, Any])
