"""Use cases for what arrives, as the console shows it: overview with lag and alarms."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from lrs import resources
from lrs.admin import intake
from lrs.admin.partners import find_partner
from lrs.auth.operators import Operator
from lrs.projection import lag
from lrs.store import pipe_lists
from lrs.store.postgres import Database, translate_errors

_ALARMS = resources.query("list_firing_alarms")
_EFFECT = resources.query("count_credential_effect")


@dataclass(frozen=True, slots=True)
class Alarm:
    """A firing alarm of a partner, such as its silence."""

    kind: str
    since: datetime
    details: str


@dataclass(frozen=True, slots=True)
class PartnerArrivals:
    """What a partner has sent in each of the last hours; the lag of its reports is in seconds.

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


@dataclass(frozen=True, slots=True)
class RevocationEffect:
    """Items that a credential has sent in the last 24 hours."""

    stored: int
    refused: int


async def overview(database: Database, operator: Operator) -> list[PartnerArrivals]:
    """The partners that the operator sees, by name."""
    partners = await intake.overview(database, operator)
    backlogs = {item.partner: item for item in await lag.read_backlogs(database)}
    with translate_errors():
        rows = await database.readers.fetch(_ALARMS)
    failing = await pipe_lists.list_failing(database)
    alarms: dict[str, list[Alarm]] = {}
    for row in rows:
        alarm = Alarm(row["kind"], row["since"], row["details"])
        alarms.setdefault(row["partner"], []).append(alarm)
    return [
        PartnerArrivals(
            item.partner,
            item.last_accepted_at,
            round(backlogs[item.partner].lag_seconds, 1) if item.partner in backlogs else 0.0,
            item.partner in backlogs and backlogs[item.partner].needs_rebuild,
            alarms.get(item.partner, []),
            item.hours,
            item.stored,
            item.refused,
            failing.get(item.partner, []),
        )
        for item in partners
    ]


async def revocation_effect(
    database: Database, operator: Operator, partner: str, key: str
) -> RevocationEffect:
    """What the credential has sent in the last 24 hours. Raises NotFound."""
    partner_row = await find_partner(database, operator, partner)
    since = datetime.now(UTC) - timedelta(hours=24)
    with translate_errors():
        (row,) = await database.readers.fetch(_EFFECT, partner_row.partner_id, key, since)
    return RevocationEffect(row["stored"], row["refused"])
