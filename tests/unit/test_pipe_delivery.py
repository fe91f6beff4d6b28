"""Delivery of statements: halving, dead letters, remembered sizes and pauses."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrs.pipes.forward.answers import Answer
from lrs.pipes.forward.delivery import Backoff, Decision, DeliveryState, next_request, settle

NOON = datetime(2026, 5, 8, 12, tzinfo=UTC)
BACKOFF = Backoff()

OK = Answer(200)
REFUSED = Answer(400, b"invalid")
CONFLICT = Answer(409, b"other statement")
ERROR = Answer(500, b"oops")
TOO_LARGE = Answer(413)
RESET = Answer(None)
TIMED_OUT = Answer(None, timed_out=True)

Target = Callable[[Sequence[int]], Answer]


@dataclass
class Run:
    """A delivery to the end, or up to `max_requests`."""

    state: DeliveryState = field(default_factory=DeliveryState)
    requests: list[int] = field(default_factory=list)
    delivered: list[int] = field(default_factory=list)
    letters: dict[int, Answer] = field(default_factory=dict)
    conflicts: list[int] = field(default_factory=list)
    now: datetime = NOON
    last: Decision | None = None

    def deliver(
        self, target: Target, statements: Sequence[int], *, batch: int, max_requests: int = 10_000
    ) -> Run:
        position = 0
        while position < len(statements) and len(self.requests) < max_requests:
            rest = statements[position : position + batch]
            state, count = next_request(self.state, rest, batch=batch, now=self.now)
            self.requests.append(count)
            decision = settle(
                state, rest[:count], target(rest[:count]), now=self.now, random=0.5, backoff=BACKOFF
            )
            self._record(decision, rest)
            position += decision.settled
        return self

    def _record(self, decision: Decision, sent: Sequence[int]) -> None:
        refused = {item.index: item.answer for item in decision.refused}
        conflicts = {item.index for item in decision.conflicts}
        for index, statement in enumerate(sent[: decision.settled]):
            if index in refused:
                self.letters[statement] = refused[index]
            elif index in conflicts:
                self.conflicts.append(statement)
            else:
                self.delivered.append(statement)
        # As it is after a crash: from JSON.
        self.state = msgspec.json.decode(msgspec.json.encode(decision.state), type=DeliveryState)
        self.now += timedelta(seconds=decision.delay)
        self.last = decision


def refusing(poisoned: set[int], answer: Answer = REFUSED) -> Target:
    return lambda statements: answer if poisoned & set(statements) else OK


def scripted(answers: Sequence[Answer], fallback: Target = lambda statements: OK) -> Target:
    pending = list(answers)
    return lambda statements: pending.pop(0) if pending else fallback(statements)


@given(st.data(), st.sampled_from([REFUSED, CONFLICT]))
def test_refused_statements_cost_at_most_two_requests_per_halving(
    data: st.DataObject, answer: Answer
) -> None:
    count = data.draw(st.integers(1, 300))
    poisoned = data.draw(st.sets(st.integers(0, count - 1), max_size=20))
    batch = data.draw(st.integers(1, count))
    run = Run().deliver(refusing(poisoned, answer), range(count), batch=batch)
    letters = [*run.letters, *run.conflicts]
    assert letters == sorted(poisoned)
    assert run.delivered == [number for number in range(count) if number not in poisoned]
    bound = 2 * len(poisoned) * math.log2(count) + math.ceil(count / batch)
    assert len(run.requests) <= bound


answers = st.sampled_from(
    [OK, REFUSED, CONFLICT, TOO_LARGE, ERROR, RESET, TIMED_OUT, Answer(401), Answer(429)]
)


@given(st.integers(1, 60), st.integers(1, 20), st.lists(answers, max_size=80))
def test_any_answers_settle_each_statement_once(
    count: int, batch: int, script: list[Answer]
) -> None:
    run = Run().deliver(scripted(script), range(count), batch=batch)
    settled = [*run.delivered, *run.letters, *run.conflicts]
    assert sorted(settled) == list(range(count))
    assert not run.state.segments


@given(st.sets(st.integers(0, 99), max_size=10))
def test_errors_of_single_statements_become_dead_letters_after_ten_tries(
    poisoned: set[int],
) -> None:
    run = Run().deliver(refusing(poisoned, ERROR), range(100), batch=50)
    assert set(run.letters) == poisoned
    assert len(run.delivered) == 100 - len(poisoned)


def test_batch_with_three_errors_is_halved() -> None:
    run = Run().deliver(scripted([ERROR] * 3), range(8), batch=8)
    assert run.requests == [8, 8, 8, 4, 2, 1, 1]
    assert run.delivered == list(range(8))


def test_single_statement_is_tried_ten_times() -> None:
    run = Run().deliver(refusing({0}, ERROR), [0], batch=8)
    assert run.requests == [1] * 10
    assert run.letters == {0: ERROR}


@pytest.mark.parametrize("answer", [RESET, Answer(502), Answer(503), TIMED_OUT, Answer(504)])
def test_outage_drops_no_statement(answer: Answer) -> None:
    run = Run().deliver(scripted([answer] * 200), range(50), batch=50)
    assert run.delivered == list(range(50))
    assert run.now - NOON < timedelta(seconds=200 * BACKOFF.maximum)


def test_pauses_of_an_outage_double_up_to_the_maximum() -> None:
    pauses = [BACKOFF.jitter(failures, 1.0) for failures in range(1, 13)]
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]
    assert BACKOFF.jitter(10_000, 0.5) == 450
    assert BACKOFF.jitter(3, 0.0) == 0.0


@pytest.mark.parametrize(
    ("value", "pause"),
    [
        ("120", 120.0),
        ("Fri, 08 May 2026 12:01:00 GMT", 60.0),
        ("Fri, 08 May 2026 11:00:00 GMT", 0.0),
        ("999999999", 86_400.0),
        ("-5", 0.0),
        ("nan", 0.5),
        ("soon", 0.5),
        ("", 0.5),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_the_pause(status: int, value: str, pause: float) -> None:
    answer = Answer(status, headers={"retry-after": value})
    run = Run().deliver(scripted([answer]), [0], batch=1, max_requests=1)
    assert run.last
    assert run.last.delay == pause
    assert run.last.status == "waiting"


@pytest.mark.parametrize("status", [301, 401, 402, 403, 404, 405, 406, 410, 415, 501])
def test_wrong_configuration_drops_no_statement_and_fails_for_15_minutes(status: int) -> None:
    run = Run().deliver(scripted([Answer(status)] * 5), range(10), batch=10, max_requests=1)
    assert run.last
    assert (run.last.settled, run.last.delay, run.last.status) == (0, 900.0, "failing")


def test_web_page_is_no_answer_of_an_lrs() -> None:
    page = Answer(200, b"<html>", {"content-type": "text/html; charset=utf-8"})
    run = Run().deliver(scripted([page]), [0], batch=1, max_requests=1)
    assert run.last
    assert run.last.status == "failing"
    assert not run.delivered


def test_size_of_accepted_batches_is_remembered_for_an_hour() -> None:
    def at_most_50(statements: Sequence[int]) -> Answer:
        return TOO_LARGE if len(statements) > 50 else OK

    run = Run().deliver(at_most_50, range(400), batch=200)
    assert run.requests == [200, 100, 50, 50, 100, 50, 50, 50, 50, 50, 50]
    assert run.delivered == list(range(400))
    run.now += timedelta(minutes=61)
    assert next_request(run.state, range(400, 800), batch=200, now=run.now)[1] == 200


def test_single_large_statement_does_not_limit_batches() -> None:
    run = Run().deliver(refusing({0}, TOO_LARGE), range(64), batch=32)
    assert list(run.letters) == [0]
    assert run.state.limit is None
    assert run.requests[-1] == 32


def test_slow_batches_are_halved_and_remembered() -> None:
    def slow(statements: Sequence[int]) -> Answer:
        return TIMED_OUT if len(statements) > 10 else OK

    run = Run().deliver(slow, range(100), batch=20)
    assert run.requests == [20, 20, 20, *[10] * 10]


def test_results_of_items_settle_a_batch() -> None:
    body = (
        b'{"results":[{"status":200},{"status":400,"problem":{"title":"Invalid statement"}},'
        b'{"status":409,"outcome":"duplicate"},{"status":409,"outcome":"conflict"}]}'
    )
    run = Run().deliver(scripted([Answer(207, body)]), range(4), batch=4)
    assert run.requests == [4]
    assert run.delivered == [0, 2]
    assert run.letters[1].body == b'{"title":"Invalid statement"}'
    assert run.conflicts == [3]


def test_results_without_an_answer_are_sent_again() -> None:
    body = b'{"results":[{"status":200},{"status":503},{"status":200}]}'
    run = Run().deliver(scripted([Answer(207, body)] * 1), range(3), batch=3)
    assert run.requests == [3, 2]
    assert run.delivered == [0, 1, 2]


@pytest.mark.parametrize("body", [b"{}", b'{"results":[]}', b'{"results":7}', b"{", b"[]"])
def test_refused_batch_without_results_is_halved(body: bytes) -> None:
    run = Run().deliver(scripted([Answer(400, body)]), range(4), batch=4)
    assert run.requests[:2] == [4, 2]


def test_dead_letter_has_at_most_4_kib_of_the_answer() -> None:
    assert len(Answer(400, b"x" * 10_000).excerpt) == 4_096
    assert Answer(400, b"\xff\x00").excerpt == "\ufffd\ufffd"
