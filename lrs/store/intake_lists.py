"""Lists of the intake ledger for operators: by hour, by reason, and the last outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from lrs import resources
from lrs.store.intake import IntakeCount, IntakeKey, load_names, source_name
from lrs.store.postgres import Database, translate_errors
from lrs.store.statements.partner_keys import key_salt

FIRST = (-1, "")
"""Before the first partner of `list_last_statements`."""


@dataclass(frozen=True, slots=True)
class HourCount:
    """The items of one partner, hour (UTC) and outcome."""

    partner_id: int
    hour: datetime
    outcome: str
    items: int
    bytes: int


@dataclass(frozen=True, slots=True)
class RefusalReason:
    """Refused items with the same reason, whether or not they are kept."""

    code: str
    pointer: str
    source: str
    outcome: str
    items: int
    first_hour: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class LastStatement:
    """When a partner last stored a statement; None: never. `rank` is 0 if an alarm of it fires."""

    rank: int
    partner_id: int
    name: str
    stored: datetime | None


@dataclass(frozen=True, slots=True)
class StoredOutcome:
    """A stored statement in the list of last outcomes; `credential` is empty if unknown."""

    sequence: int
    at: datetime
    statement_id: str
    source: str
    credential: str
    organization: str


async def list_hours(
    database: Database, partner_ids: Sequence[int], since: datetime
) -> list[HourCount]:
    """By partner, hour and outcome."""
    with translate_errors():
        rows = await database.readers.fetch(
            resources.query("list_intake_hours"), partner_ids, since
        )
    return [HourCount(**row) for row in rows]


async def list_reasons(
    database: Database, partner_id: int, since: datetime, limit: int = 200
) -> list[RefusalReason]:
    """The reasons of refused items since an hour, the most frequent first."""
    with translate_errors():
        rows = await database.readers.fetch(
            resources.query("list_refusal_reasons"), partner_id, since, limit
        )
    return [RefusalReason(**row) for row in rows]


async def list_counts(
    database: Database, partner_id: int, since: datetime, until: datetime, limit: int = 1000
) -> list[IntakeCount]:
    """All counts of a partner from an hour to before another, the newest hour first."""
    with translate_errors():
        rows = await database.readers.fetch(
            resources.query("list_intake_counts"), partner_id, since, until, limit
        )
    return [
        IntakeCount(IntakeKey(partner_id, *key), items, size, last_at)
        for *key, items, size, last_at in rows
    ]


async def list_last_statements(
    database: Database,
    partner_ids: Sequence[int] | None,
    *,
    after: tuple[int, str] = FIRST,
    limit: int | None = None,
) -> list[LastStatement]:
    """The next partners after a rank and name; `partner_ids` None: of all partners."""
    with translate_errors():
        rows = await database.readers.fetch(
            resources.query("list_last_statements"), partner_ids, *after, limit
        )
    return [LastStatement(**row) for row in rows]


async def list_stored(
    database: Database, partner_id: int, *, after: int, before: int, limit: int
) -> list[StoredOutcome]:
    """Statements of a partner between two sequences, newest first."""
    with translate_errors():
        rows = await database.readers.fetch(
            resources.query("list_stored_outcomes"),
            partner_id,
            after,
            before,
            limit,
            key_salt(partner_id),
        )
        names = await load_names(database.readers, partner_id) if rows else {}
    return [
        StoredOutcome(
            row["sequence"],
            row["at"],
            row["statement_id"],
            source_name(row["source"]),
            names.get(row["authority_key"], ""),
            row["organization"],
        )
        for row in rows
    ]
