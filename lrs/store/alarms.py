"""Alarms of partners, what they are judged by, and the notifications that are due."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from lrs import resources
from lrs.store import partner_settings
from lrs.store.partner_settings import PartnerSettings
from lrs.store.postgres import Database, translate_errors


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm of a partner, firing or resolved `since` a time; `details` are a JSON object."""

    partner_id: int
    partner: str
    kind: str
    firing: bool
    since: datetime
    details: str
    notified_at: datetime | None


@dataclass(frozen=True, slots=True)
class Notification:
    """A leased notification; `failures` are those of earlier attempts."""

    partner_id: int
    partner: str
    kind: str
    firing: bool
    since: datetime
    details: str
    failures: int


@dataclass(frozen=True, slots=True)
class RefusalRate:
    """Received and refused items of a partner."""

    received: int
    refused: int


async def list_settings(database: Database) -> dict[int, tuple[str, PartnerSettings]]:
    """Name and settings of every partner that is not disabled, by id."""
    with translate_errors():
        rows = await database.readers.fetch(resources.query("list_partner_settings"))
    return {
        row["partner_id"]: (row["name"], partner_settings.decode(row["settings"])) for row in rows
    }


async def list_active_hours(
    database: Database, partner_ids: Sequence[int], since: datetime
) -> dict[int, list[datetime]]:
    """The hours (UTC) in which a partner stored items, in order, by partner."""
    with translate_errors():
        rows = await database.readers.fetch(
            resources.query("list_active_hours"), partner_ids, since
        )
    return {row["partner_id"]: row["hours"] for row in rows}


async def list_refusal_rates(database: Database, since: datetime) -> dict[int, RefusalRate]:
    """By partner, from an hour on."""
    with translate_errors():
        rows = await database.readers.fetch(resources.query("list_refusal_rates"), since)
    return {row["partner_id"]: RefusalRate(row["received"], row["refused"] or 0) for row in rows}


async def list_failing_pipes(database: Database) -> dict[int, dict[str, str]]:
    """The errors of failing pipes by partner and name."""
    with translate_errors():
        rows = await database.readers.fetch(resources.query("list_failing_pipes"))
    failing: dict[int, dict[str, str]] = {}
    for partner_id, name, error in rows:
        failing.setdefault(partner_id, {})[name] = error
    return failing


async def set_state(
    database: Database, partner_id: int, kind: str, *, firing: bool, details: str
) -> bool:
    """Whether the state of the alarm has changed."""
    with translate_errors():
        row = await database.readers.fetchrow(
            resources.query("set_alarm"), partner_id, kind, firing, details
        )
    return row is not None


async def list_alarms(database: Database, partner_ids: Sequence[int] | None) -> list[Alarm]:
    """Firing ones first; `partner_ids` None: of all partners."""
    with translate_errors():
        rows = await database.readers.fetch(resources.query("list_alarms"), partner_ids)
    return [Alarm(**row) for row in rows]


async def claim_notification(
    database: Database, *, lease_seconds: float, repeat_seconds: float
) -> Notification | None:
    """A notification that is due; no other server gets it during the lease."""
    with translate_errors():
        row = await database.readers.fetchrow(
            resources.query("claim_notification"), lease_seconds, repeat_seconds
        )
    return Notification(**row) if row else None


async def complete(database: Database, sent: Notification) -> None:
    with translate_errors():
        await database.readers.execute(
            resources.query("complete_notification"), sent.partner_id, sent.kind, sent.firing
        )


async def postpone(database: Database, failed: Notification, seconds: float) -> None:
    with translate_errors():
        await database.readers.execute(
            resources.query("postpone_notification"), failed.partner_id, failed.kind, seconds
        )
