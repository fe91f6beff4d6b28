"""Answers of a target to a request with statements, and what each kind of answer means.

Kinds, by status: see the table in docs/pipes.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

Kind = Literal[
    "accepted", "refused", "conflict", "too_large", "denied", "throttled", "error", "slow",
    "unavailable",
]  # fmt: skip
"""
accepted     the statements are stored
refused      a statement is invalid, or the target cannot store it
conflict     another statement has the id of one of them
too_large    the request is too large
denied       credentials, permissions or the endpoint are wrong: no statement is at fault
throttled    the target asks for a pause
error        an internal error, which can be caused by a statement
slow         no answer in time, which can be caused by the number of statements
unavailable  the target is not reached, or says so
"""

MAX_BODY_BYTES = 4_096
"""How much of the body of an answer is kept with a dead letter."""

_KINDS: dict[int, Kind] = {
    400: "refused",
    408: "slow",
    409: "conflict",
    412: "conflict",
    413: "too_large",
    420: "throttled",
    422: "refused",
    425: "unavailable",
    429: "throttled",
    500: "error",
    501: "denied",
    502: "unavailable",
    503: "throttled",
    504: "slow",
    505: "denied",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one request. `status` is None without one; then `timed_out` says why.

    `body` has its first bytes at least; header names are in lower case.
    """

    status: int | None
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    timed_out: bool = False

    @property
    def excerpt(self) -> str:
        """The text of the body, at most 4 KiB of it."""
        return self.body[:MAX_BODY_BYTES].decode(errors="replace").replace("\0", "\ufffd")


def classify(answer: Answer, *, is_webhook: bool = False) -> Kind:
    """The kind of an answer. A web page with the status 200 is no answer of an LRS."""
    status = answer.status
    if status is None:
        return "slow" if answer.timed_out else "unavailable"
    if 200 <= status < 300:
        kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        return "denied" if kind == "text/html" and not is_webhook else "accepted"
    if status in _KINDS:
        return _KINDS[status]
    return "unavailable" if status > 500 else "denied"


def item_answers(answer: Answer, count: int) -> list[Answer] | None:
    """The answers to the items of a batch, from a body with `results`; None if it has none.

    The partner interfaces of this server and of Percipio answer 207 with one result per item.
    """
    if answer.status is None or not answer.body.startswith(b"{"):
        return None
    try:
        results = orjson.loads(answer.body).get("results")
    except orjson.JSONDecodeError:
        return None
    if not isinstance(results, list) or len(results) != count:
        return None
    if not all(isinstance(result, dict) and _is_status(result.get("status")) for result in results):
        return None
    return [_item_answer(result) for result in results]


def unlisted(answer: Answer, ids: Sequence[str]) -> list[int]:
    """The indexes of statements that an accepting answer does not list, if it lists some of them.

    Some targets list only those that are new to them.
    """
    if not answer.body.lstrip().startswith(b"["):
        return []
    try:
        listed = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return []
    accepted = {item.lower() for item in listed if isinstance(item, str)} & set(ids)
    if not accepted:
        return []
    return [index for index, statement_id in enumerate(ids) if statement_id not in accepted]


def _is_status(value: Any) -> bool:
    return type(value) is int and 200 <= value < 600


def _item_answer(result: dict[str, Any]) -> Answer:
    if result.get("outcome") == "duplicate":  # an equal statement is stored: see docs/errors.md
        return Answer(200)
    return Answer(result["status"], orjson.dumps(result.get("problem") or result))
