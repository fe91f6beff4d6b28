"""Outcomes as the response of the partner interface; no other module computes its status."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from starlette.responses import Response

from lrs.api import problem_details
from lrs.api.responses import json_response
from lrs.ingest.model import REFUSED, Outcome


def status(outcomes: Sequence[Outcome]) -> int:
    """The status that all items share, or 207 if they differ."""
    statuses = {outcome.status for outcome in outcomes} or {200}
    return statuses.pop() if len(statuses) == 1 else 207


def response(
    outcomes: Sequence[Outcome], *, is_batch: bool, dry_run: bool, stored: Any
) -> Response:
    """The response to a POST; `stored` is its body if all items are stored."""
    overall = status(outcomes)
    if dry_run:
        return json_response({**results(outcomes), "dry_run": True}, overall)
    if overall == 200:
        return json_response(stored)
    if not is_batch and (problem := outcomes[0].problem):
        return problem_details.response(problem, id=outcomes[0].statement_id)
    return json_response(results(outcomes), overall)


def results(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """One result per item, in order, and the count of each outcome."""
    counts = Counter(outcome.kind for outcome in outcomes)
    return {
        "results": [_result(index, outcome) for index, outcome in enumerate(outcomes)],
        "summary": {"received": len(outcomes), **dict(sorted(counts.items()))},
    }


def refused(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """The results of the items for which an atomic request is refused."""
    return [
        _result(index, outcome) for index, outcome in enumerate(outcomes) if outcome.kind in REFUSED
    ]


def _result(index: int, outcome: Outcome) -> dict[str, Any]:
    return {
        "index": index,
        "id": outcome.statement_id,
        "status": outcome.status,
        "outcome": outcome.kind,
        "retryable": False,
        "problem": problem_details.problem(outcome.problem) if outcome.problem else None,
    }
