"""The arithmetic of rate limits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrs.limits import gcra
from lrs.limits.model import Rate, parse_rate

RATES = st.builds(Rate, st.integers(1, 5000), st.sampled_from([1, 2, 10, 60, 3600]))


@given(RATES, st.lists(st.tuples(st.floats(0, 100), st.integers(0, 50)), max_size=30))
def test_tokens_never_exceed_quota_and_rate(rate: Rate, steps: list[tuple[float, int]]) -> None:
    arrival, began, now = 0.0, 1.8e9, 1.8e9
    taken = 0
    for pause, wanted in steps:
        now += pause
        grant = gcra.take(rate, arrival, now, 0, wanted)
        arrival = grant.arrival
        taken += grant.tokens
        assert 0 <= grant.tokens <= wanted
        assert 0 <= grant.remaining <= rate.quota
        assert taken <= rate.quota + (now - began) * rate.per_second + 0.01 * len(steps)


@given(RATES)
def test_whole_quota_is_granted_then_one_token_per_interval(rate: Rate) -> None:
    now = 1.8e9
    first = gcra.take(rate, 0.0, now, 0, rate.quota + 1)
    assert (first.tokens, first.remaining) == (rate.quota, 0)
    interval = rate.window_seconds / rate.quota
    assert first.retry_after == pytest.approx(interval, abs=1e-5)
    assert gcra.take(rate, first.arrival, now + interval * 0.9, 0, 1).tokens == 0
    assert gcra.take(rate, first.arrival, now + interval, 0, 1).tokens == 1


@given(RATES, st.integers(1, 100))
def test_returned_tokens_can_be_taken_again(rate: Rate, count: int) -> None:
    count = min(count, rate.quota)
    grant = gcra.take(rate, 0.0, 1000.0, 0, rate.quota)
    returned = gcra.take(rate, grant.arrival, 1000.0, count, -count)
    assert (returned.tokens, returned.remaining) == (-count, count)
    assert gcra.take(rate, returned.arrival, 1000.0, 0, rate.quota).tokens == count


def test_kept_tokens_do_not_come_on_top_of_a_whole_quota() -> None:
    rate = Rate(100, 1)
    grant = gcra.take(rate, 0.0, 1000.0, 0, 40)
    later = gcra.take(rate, grant.arrival, 2000.0, 40, 100)
    assert later.tokens == 60


def test_clock_that_steps_back_costs_at_most_one_window() -> None:
    rate = Rate(10, 60)
    grant = gcra.take(rate, 0.0, 100_000.0, 0, 1)
    assert gcra.take(rate, grant.arrival, 1000.0, 0, 1).retry_after <= 60


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("100/second", Rate(100, 1)),
        ("5000/minute", Rate(5000, 60)),
        ("500/10 seconds", Rate(500, 10)),
        ("7 per 2 hours", Rate(7, 7200)),
    ],
)
def test_rate_is_parsed(text: str, rate: Rate) -> None:
    assert parse_rate(text) == rate
    assert parse_rate(str(rate)) == rate


@pytest.mark.parametrize(
    "text", ["often", "0/second", "-1/second", "1/second;2/minute", "1/0 days"]
)
def test_malformed_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a rate"):
        parse_rate(text)
