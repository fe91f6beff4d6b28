"""Use case for the overview of partners: whether their items arrive, lag of reports, alarms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import orjson

from lrs import resources
from lrs.admin import hourly_counts, system
from lrs.admin.hourly_counts import HourlyCounts
from lrs.admin.views import Page
from lrs.auth.operators import Operator
from lrs.ledger.alarms import PIPES
from lrs.projection import lag
from lrs.projection.lag import Backlog
from lrs.settings import Settings
from lrs.store import pipe_lists, server_properties
from lrs.store.postgres import Database, translate_errors

_ALARMS = resources.query("list_firing_alarms")
_REASONS = resources.query("list_arrival_reasons")
_ATTEMPTS_OF_NOBODY = resources.query("count_attempts_without_partner")

_RECENT_HOURS = 2
_RECENTLY = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Alarm:
    """A firing alarm of a partner, such as its silence."""

    kind: str
    since: datetime
    details: str


Verdict = Literal["arriving", "refused", "denied", "silent", "nothing", "disabled", "idle"]


@dataclass(frozen=True, slots=True)
class PartnerOverview:
    """What a partner has sent in each of the last hours; the lag of its reports is in seconds.

    `verdict` answers whether it arrives, and `why` explains it in a few words:

    arriving  stored within 24 hours, and most items of the last two hours
    refused   most items of the last two hours were refused
    denied    requests were denied after the last accepted item, which is more than an hour old
    silent    the alarm of silence fires
    idle      nothing within 24 hours
    nothing   nothing yet
    disabled  all requests are refused

    `rebuild_needed`: the reports follow earlier settings, or rules of an earlier version.
    `failing_pipes` are those that need an operator.
    """

    partner: str
    last_accepted_at: datetime | None
    report_lag_seconds: float
    rebuild_needed: bool
    alarms: list[Alarm]
    hours: list[datetime]
    stored: list[int]
    refused: list[int]
    failing_pipes: list[str]
    denied: int
    last_denied_at: datetime | None
    verdict: Verdict
    why: str


@dataclass(frozen=True, slots=True)
class ServerState:
    """What concerns all partners; for operators of all of them."""

    disk_free_bytes: int | None
    disk_total_bytes: int | None
    attempts_without_partner: int
    last_backup_at: datetime | None


async def list_overview(
    database: Database,
    operator: Operator,
    *,
    partner: str | None = None,
    cursor: str | None = None,
    limit: int = 100,
) -> Page[PartnerOverview]:
    """The next partners that the operator sees, or one: those with a firing alarm, then by name.

    Raises NotFound (partner).
    """
    partners = await hourly_counts.list_hourly_counts(
        database, operator, partner=partner, cursor=cursor, limit=limit
    )
    ids = [item.partner_id for item in partners.items]
    backlogs = {item.partner: item for item in await lag.read_backlogs(database, ids)}
    with translate_errors():
        rows = await database.readers.fetch(_ALARMS, ids)
    failing = await pipe_lists.list_failing(database, ids)
    alarms: dict[str, list[Alarm]] = {}
    for row in rows:
        alarm = Alarm(row["kind"], row["since"], _alarm_text(operator, row["kind"], row["details"]))
        alarms.setdefault(row["partner"], []).append(alarm)
    reasons = {row["partner"]: row for row in await _reasons(database, ids)}
    items = [
        _partner_overview(
            item,
            backlogs.get(item.partner),
            alarms.get(item.partner, []),
            failing.get(item.partner, []),
            reasons,
        )
        for item in partners.items
    ]
    return Page(items, partners.cursor)


async def server_state(
    database: Database, operator: Operator, settings: Settings
) -> ServerState | None:
    """The state of the server, None for an operator of some partners."""
    if operator.partner_ids is not None:
        return None
    with translate_errors():
        attempts = await database.readers.fetchval(_ATTEMPTS_OF_NOBODY, _yesterday())
    backup = await server_properties.last_backup(database)
    disk = system.disk_usage(settings)
    return ServerState(
        disk[1] if disk else None,
        disk[0] if disk else None,
        attempts,
        backup.at if backup else None,
    )


async def _reasons(database: Database, partner_ids: list[int]) -> list[dict[str, Any]]:
    with translate_errors():
        rows = await database.readers.fetch(_REASONS, partner_ids, _yesterday())
    return [dict(row) for row in rows]


def _partner_overview(
    item: HourlyCounts,
    backlog: Backlog | None,
    alarms: list[Alarm],
    failing_pipes: list[str],
    reasons: Mapping[str, Mapping[str, Any]],
) -> PartnerOverview:
    reason = reasons.get(item.partner, {})
    verdict, why = _verdict(item, alarms, reason)
    return PartnerOverview(
        item.partner,
        item.last_accepted_at,
        round(backlog.lag_seconds, 1) if backlog else 0.0,
        backlog is not None and backlog.needs_rebuild,
        alarms,
        item.hours,
        item.stored,
        item.refused,
        failing_pipes,
        reason.get("denied_requests") or 0,
        reason.get("last_denied_at"),
        verdict,
        why,
    )


def _alarm_text(operator: Operator, kind: str, details: str) -> str:
    """The text of an alarm; viewers see no error of a pipe, which can contain identities."""
    values = orjson.loads(details)
    if kind == PIPES and not operator.may("operator"):
        return f"Failing pipes: {', '.join(values['pipes'])}."
    return str(values["text"])


def _verdict(
    item: HourlyCounts, alarms: list[Alarm], reason: Mapping[str, Any]
) -> tuple[Verdict, str]:
    if reason.get("disabled_reason") is not None:
        return "disabled", reason["disabled_reason"]
    last, denied_at = item.last_accepted_at, reason.get("last_denied_at")
    stored, refused = sum(item.stored[-_RECENT_HOURS:]), sum(item.refused[-_RECENT_HOURS:])
    if refused > stored:
        place = f" at {reason['refused_pointer']}" if reason.get("refused_pointer") else ""
        return "refused", f"{reason.get('refused_code') or 'refused'}{place}"
    is_denied = denied_at is not None and (last is None or denied_at > last)
    if is_denied and (last is None or last < datetime.now(UTC) - _RECENTLY):
        return "denied", reason["denied_code"]
    for alarm in alarms:
        if alarm.kind == "silence":
            return "silent", alarm.details
    if last is None:
        return "nothing", "no item was ever sent"
    if last < _yesterday():
        return "idle", "nothing in the last 24 hours"
    return "arriving", f"but then denied: {reason['denied_code']}" if is_denied else ""


def _yesterday() -> datetime:
    return datetime.now(UTC) - timedelta(hours=24)
