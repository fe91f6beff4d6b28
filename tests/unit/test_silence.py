"""When the silence of a partner is unusual."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from lrs.ledger import silence
from lrs.ledger.alarms import judge_refusals, judge_silence
from lrs.store.alarms import RefusalRate
from lrs.store.partner_settings import DEFAULTS, PartnerSettings

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

ALWAYS = [MONDAY + number * HOUR for number in range(24 * 21)]
OFFICE = [
    MONDAY + day * DAY + hour * HOUR for day in range(21) for hour in range(8, 18) if day % 7 < 5
]
NIGHTLY = [MONDAY + day * DAY + 2 * HOUR for day in range(21)]


def is_unusual(hours: list[datetime], after: timedelta) -> bool:
    last = hours[-1] + timedelta(minutes=50)
    return silence.judge(hours, last, last + after).is_unusual


@pytest.mark.parametrize(
    ("hours", "after", "expected"),
    [
        (ALWAYS, HOUR, False),
        (ALWAYS, 3 * HOUR, True),
        (ALWAYS, 30 * DAY, True),
        (OFFICE, 14 * HOUR, False),
        (OFFICE, 40 * HOUR, False),  # Sunday
        (OFFICE, 62 * HOUR, False),  # Monday, before the office opens
        (OFFICE, 66 * HOUR, True),  # Monday noon
        (NIGHTLY, 26 * HOUR, False),
        (NIGHTLY, 50 * HOUR, True),
        (ALWAYS[:4], 10 * DAY, False),  # no habit yet
        (ALWAYS[:24], 90 * timedelta(minutes=1), False),
        (ALWAYS[:24], 3 * HOUR, True),  # the first day
        ([], DAY, False),
    ],
)
def test_silence_is_judged_by_the_usual_gap(
    hours: list[datetime], after: timedelta, expected: bool
) -> None:
    if hours:
        assert is_unusual(hours, after) == expected
    else:
        assert not silence.judge([], MONDAY, MONDAY + after).is_unusual


def test_limit_of_the_partner_replaces_the_rule() -> None:
    settings = PartnerSettings(silence_alarm_seconds=60)
    now = MONDAY + timedelta(seconds=61)
    assert judge_silence([], MONDAY, now, settings).firing
    assert not judge_silence([], MONDAY, now - timedelta(seconds=2), settings).firing
    off = PartnerSettings(silence_alarm_seconds=0)
    assert not judge_silence(ALWAYS, MONDAY, MONDAY + 99 * DAY, off).firing
    assert not judge_silence(ALWAYS, None, now, settings).firing


@pytest.mark.parametrize(
    ("received", "refused", "percent", "expected"),
    [
        (100, 10, 10, True),
        (100, 9, 10, False),
        (9, 9, 10, False),
        (100, 99, 0, False),
        (0, 0, 10, False),
    ],
)
def test_refusals_are_judged_by_their_share(
    received: int, refused: int, percent: int, expected: bool
) -> None:
    settings = PartnerSettings(refusal_alarm_percent=percent)
    judgement = judge_refusals(RefusalRate(received, refused), settings)
    assert judgement.firing == expected
    assert f"{refused} of {received} items" in judgement.text


def test_default_percentage_is_ten() -> None:
    assert judge_refusals(RefusalRate(100, 10), DEFAULTS).firing
