"""The number of dead letters that pauses a pipe."""

from __future__ import annotations

from lrs.pipes.forward.letter_limits import LetterCounts, add, pause_reason


def test_more_than_1000_dead_letters_pause_the_pipe() -> None:
    counts = LetterCounts(letters=1_000)
    assert pause_reason(counts) is None
    assert "1,000" in str(pause_reason(add(counts, 1, 1)))


def test_more_than_5_percent_of_10000_statements_pause_the_pipe() -> None:
    counts = LetterCounts()
    for _ in range(190):
        counts = add(counts, 50, 0)
    for _ in range(500):
        counts = add(counts, 1, 1)
    assert pause_reason(counts) is None
    assert "5 %" in str(pause_reason(add(counts, 1, 1)))


def test_old_dead_letters_do_not_pause_the_pipe() -> None:
    counts = add(LetterCounts(), 1_000, 400)
    for _ in range(11):
        counts = add(counts, 1_000, 0)
    counts = add(counts, 1_000, 400)
    assert counts.letters == 800
    assert pause_reason(counts) is None
