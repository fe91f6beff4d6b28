"""Alarms of partners: silence and a high rate of refusals, as metrics and through a webhook.

One worker of all servers judges the alarms; every worker exposes them as metrics. A notification is
leased by a row lock, so that one server sends it, and repeated after a failure.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import orjson

from lrs import __version__
from lrs.ledger import silence
from lrs.observability import metrics
from lrs.plurals import quantity
from lrs.store import alarms as store
from lrs.store import intake_lists, maintenance
from lrs.store.alarms import Notification, RefusalRate
from lrs.store.intake_lists import LastStatement
from lrs.store.partner_settings import PartnerSettings
from lrs.store.postgres import Database

_log = logging.getLogger("lrs.ledger")

SILENCE = "silence"
REFUSALS = "refusals"
PIPES = "pipes"

ALARM_SECONDS = 30.0
"""How often each worker runs `Alarms.run_once`."""

ROUND = "judge alarms"
_EVALUATION_SECONDS = 25.0
_HISTORY_TTL = timedelta(hours=1)
_HISTORY_BATCH = 50
_MIN_REFUSED = 10
_TIMEOUT_SECONDS = 10.0
_LEASE_SECONDS = 60.0
_REPEAT_SECONDS = 14_400.0
_MIN_RETRY_SECONDS = 30.0
_MAX_RETRY_SECONDS = 3600.0
_MAX_NOTIFICATIONS = 100


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether an alarm fires, and why: a sentence and its numbers."""

    firing: bool
    text: str
    numbers: dict[str, Any]

    def details(self) -> str:
        return orjson.dumps({"text": self.text, **self.numbers}).decode()


_DISABLED = Judgement(False, "The partner is disabled.", {})


class Alarms:
    """The alarms as one worker sees them. Without `webhook_url`, nothing is sent."""

    def __init__(
        self,
        database: Database,
        *,
        webhook_url: str = "",
        server_url: str = "",
        repeat_seconds: float = _REPEAT_SECONDS,
        retry_seconds: float = _MIN_RETRY_SECONDS,
        evaluation_seconds: float = _EVALUATION_SECONDS,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._webhook_url = webhook_url
        self._server_url = server_url
        self._repeat_seconds = repeat_seconds
        self._retry_seconds = retry_seconds
        self._evaluation_seconds = evaluation_seconds
        self._clock = clock
        self._hours: dict[int, list[datetime]] = {}
        self._hours_at: datetime | None = None
        self._exposed: set[str] = set()

    async def run_once(self) -> None:
        """Judges, exposes and notifies. Raises Unavailable."""
        now = self._clock()
        if await maintenance.claim_round(self._database, ROUND, self._evaluation_seconds):
            await self._evaluate(now)
        await self._expose(now)
        if self._webhook_url:
            await self._notify()

    async def _evaluate(self, now: datetime) -> None:
        partners = await store.list_settings(self._database)
        await self._refresh_hours(list(partners), now)
        firing = {
            (alarm.partner_id, alarm.kind): alarm.firing
            for alarm in await store.list_alarms(self._database, None)
        }
        hour = now.replace(minute=0, second=0, microsecond=0)
        rates = await store.list_refusal_rates(self._database, hour - timedelta(hours=1))
        pipes = await store.list_failing_pipes(self._database)
        for row in await intake_lists.list_last_statements(self._database, None):
            judgements = self._judge(row, partners.get(row.partner_id), rates, now)
            if row.partner_id in partners:
                judgements[PIPES] = judge_pipes(pipes.get(row.partner_id, {}))
            for kind, judgement in judgements.items():
                if judgement.firing != firing.get((row.partner_id, kind), False):
                    await self._change(row.partner_id, row.name, kind, judgement)

    def _judge(
        self,
        row: LastStatement,
        partner: tuple[str, PartnerSettings] | None,
        rates: Mapping[int, RefusalRate],
        now: datetime,
    ) -> dict[str, Judgement]:
        """The alarms of a partner by kind; none fires for a disabled one."""
        if partner is None:
            return dict.fromkeys((SILENCE, REFUSALS, PIPES), _DISABLED)
        _, settings = partner
        hours = self._hours.get(row.partner_id, [])
        rate = rates.get(row.partner_id, RefusalRate(0, 0))
        return {
            SILENCE: judge_silence(hours, row.stored, now, settings),
            REFUSALS: judge_refusals(rate, settings),
        }

    async def _refresh_hours(self, partner_ids: Sequence[int], now: datetime) -> None:
        """Reads the habits of all partners again, once an hour."""
        if self._hours_at is not None and now - self._hours_at < _HISTORY_TTL:
            return
        hours: dict[int, list[datetime]] = {}
        for start in range(0, len(partner_ids), _HISTORY_BATCH):
            batch = partner_ids[start : start + _HISTORY_BATCH]
            since = now - silence.HISTORY
            hours |= await store.list_active_hours(self._database, batch, since)
        self._hours, self._hours_at = hours, now

    async def _change(self, partner_id: int, partner: str, kind: str, judgement: Judgement) -> None:
        changed = await store.set_state(
            self._database,
            partner_id,
            kind,
            firing=judgement.firing,
            details=judgement.details(),
        )
        if changed:
            _log.warning(
                "alarm fires" if judgement.firing else "alarm is resolved",
                extra={"partner": partner, "alarm": kind, "reason": judgement.text},
            )

    async def _expose(self, now: datetime) -> None:
        """Sets the metrics, from what the judging worker has written."""
        for row in await intake_lists.list_last_statements(self._database, None):
            if row.stored is not None and self._is_exposed(row.name):
                metrics.SILENCE.labels(row.name).set((now - row.stored).total_seconds())
        for alarm in await store.list_alarms(self._database, None):
            if self._is_exposed(alarm.partner):
                metrics.ALARM_FIRING.labels(alarm.partner, alarm.kind).set(alarm.firing)

    def _is_exposed(self, partner: str) -> bool:
        """Whether the partner has time series. Not the labels of `metrics.partner_label`: those
        are for partners that this worker has received items of."""
        if len(self._exposed) < metrics.MAX_LABELED_PARTNERS:
            self._exposed.add(partner)
        return partner in self._exposed

    async def _notify(self) -> None:
        """Sends what is due, one after the other."""
        async with httpx.AsyncClient(
            timeout=_TIMEOUT_SECONDS, headers={"User-Agent": f"lrs/{__version__}"}
        ) as client:
            for _ in range(_MAX_NOTIFICATIONS):
                due = await store.claim_notification(
                    self._database,
                    lease_seconds=_LEASE_SECONDS,
                    repeat_seconds=self._repeat_seconds,
                )
                if due is None:
                    return
                await self._send(client, due)

    async def _send(self, client: httpx.AsyncClient, due: Notification) -> None:
        try:
            async with asyncio.timeout(2 * _TIMEOUT_SECONDS):
                response = await client.post(self._webhook_url, json=self._message(due))
            response.raise_for_status()
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            metrics.ALARM_NOTIFICATIONS.labels("failed").inc()
            seconds = min(self._retry_seconds * 2.0**due.failures, _MAX_RETRY_SECONDS)
            _log.warning(
                "cannot send an alarm: %s",
                (str(error) or type(error).__name__).splitlines()[0],
                extra={"partner": due.partner, "alarm": due.kind, "retry_seconds": seconds},
            )
            await store.postpone(self._database, due, seconds)
            return
        metrics.ALARM_NOTIFICATIONS.labels("sent").inc()
        await store.complete(self._database, due)

    def _message(self, due: Notification) -> dict[str, Any]:
        details: dict[str, Any] = orjson.loads(due.details)
        state = "firing" if due.firing else "resolved"
        reason = details.pop("text")
        return {
            "alarm": due.kind,
            "state": state,
            "partner": due.partner,
            "since": due.since.isoformat(),
            "sent_at": datetime.now(UTC).isoformat(),
            "server": self._server_url,
            "text": f"{due.partner}: {due.kind} {state}. {reason}",
            "details": details,
        }


def judge_silence(
    hours: Sequence[datetime], last_at: datetime | None, now: datetime, settings: PartnerSettings
) -> Judgement:
    """Silence of a partner; its setting replaces the rule, and 0 switches the alarm off."""
    limit = settings.silence_alarm_seconds
    if last_at is None or limit == 0:
        return Judgement(False, "Silence is not judged.", {})
    result = silence.judge(
        hours, last_at, now, timedelta(seconds=limit) if limit is not None else None
    )
    usual = result.usual_gap
    numbers = {
        "last_accepted_at": last_at.isoformat(),
        "silent_seconds": round(result.duration.total_seconds()),
        "usual_gap_seconds": round(usual.total_seconds()) if usual else None,
    }
    habit = f"its usual gap is {_span(usual)}" if usual else "it has no usual gap yet"
    text = f"The last statement was stored {_span(result.duration)} ago; {habit}."
    return Judgement(result.is_unusual, text, numbers)


def judge_refusals(rate: RefusalRate, settings: PartnerSettings) -> Judgement:
    """The share of refused items in this hour and the one before."""
    percent = 100 * rate.refused / rate.received if rate.received else 0.0
    limit = settings.refusal_alarm_percent
    firing = limit > 0 and rate.refused >= _MIN_REFUSED and percent >= limit
    numbers = {"received": rate.received, "refused": rate.refused, "percent": round(percent, 1)}
    text = (
        f"{rate.refused} of {quantity(rate.received, 'item')} refused in this hour and the one "
        f"before ({percent:.1f} %)."
    )
    return Judgement(firing, text, numbers)


def judge_pipes(errors: Mapping[str, str]) -> Judgement:
    """The errors of failing pipes by name."""
    if not errors:
        return Judgement(False, "No pipe fails.", {"pipes": []})
    name = min(errors)
    others = f", and {quantity(len(errors) - 1, 'other')}" if len(errors) > 1 else ""
    text = f"The pipe {name} fails{others}: {errors[name]}"
    return Judgement(True, text, {"pipes": sorted(errors)})


def _span(span: timedelta) -> str:
    seconds = span.total_seconds()
    for unit, size in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return quantity(round(seconds), "second")
