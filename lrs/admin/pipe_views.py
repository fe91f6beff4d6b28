"""Pipes as operators see them: never with a secret, for viewers without what others have said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lrs.auth.operators import Operator
from lrs.auth.secret_box import SecretBox, WrongSecretKey
from lrs.pipes.options import Basic, OAuth2, decode_credentials
from lrs.store import pipe_lists
from lrs.store.pipes import Pipe, PipeRun

HIDDEN = "Only operators and owners see it."

_STARTED = frozenset({"running", "waiting", "failing"})


@dataclass(frozen=True, slots=True)
class PipeView:
    """A pipe in a list.

    `position_at` is the time of `stored` up to which statements are moved, `lag_seconds` its age.
    `statements` are counts by outcome and `requests` by status, since the pipe was added.
    """

    partner: str
    name: str
    direction: str
    url: str
    version: str
    filter: Mapping[str, Any]
    options: Mapping[str, Any]
    state: str
    needs_operator: bool
    is_running: bool
    position_at: datetime | None
    lag_seconds: float | None
    next_try_at: datetime | None
    last_success_at: datetime | None
    last_error: str | None
    failures: int
    dead_letters: int
    statements: Mapping[str, int]
    requests: Mapping[str, int]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class PipeDetail(PipeView):
    """A pipe with the kind of its credentials, and its position; the position not for viewers."""

    credentials: Mapping[str, str]
    cursor: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class RunView:
    """A run; `lag_seconds` is the lag at its end."""

    id: str
    started_at: datetime
    ended_at: datetime | None
    server: str
    statements: Mapping[str, int]
    requests: Mapping[str, int]
    lag_seconds: float | None
    error: str | None


def view(operator: Operator, pipe: Pipe) -> PipeView:
    return PipeView(**_members(operator, pipe))


def detail(operator: Operator, secret_box: SecretBox, pipe: Pipe) -> PipeDetail:
    return PipeDetail(
        **_members(operator, pipe),
        credentials=_describe_credentials(secret_box, pipe),
        cursor=_short(pipe.cursor) if operator.may("operator") else None,
    )


def run_view(operator: Operator, run: PipeRun) -> RunView:
    return RunView(
        str(run.run_id),
        run.started_at,
        run.ended_at,
        run.server,
        run.counts,
        run.requests,
        _lag(run.position_at, run.ended_at),
        _visible(operator, run.error),
    )


def _members(operator: Operator, pipe: Pipe) -> dict[str, Any]:
    is_started = pipe.state in _STARTED
    return {
        "partner": pipe.partner,
        "name": pipe.name,
        "direction": pipe.direction,
        "url": pipe.url,
        "version": pipe.version,
        "filter": _visible_filter(operator, pipe.filter),
        "options": pipe.options,
        "state": pipe.state,
        "needs_operator": pipe_lists.needs_operator(pipe),
        "is_running": pipe.is_leased,
        "position_at": pipe.position_at,
        "lag_seconds": _lag(pipe.position_at, datetime.now(UTC)) if is_started else None,
        "next_try_at": pipe.next_try_at if is_started else None,
        "last_success_at": pipe.last_success_at,
        "last_error": _visible(operator, pipe.last_error),
        "failures": pipe.failures,
        "dead_letters": pipe.dead_letters,
        "statements": pipe.counts,
        "requests": pipe.requests,
        "created_at": pipe.created_at,
    }


def _short(cursor: Mapping[str, Any]) -> dict[str, Any]:
    """The position, with the number of refused items instead of their digests."""
    if "refused" not in cursor:
        return {**cursor}
    return {**cursor, "refused": len(cursor["refused"])}


def _describe_credentials(secret_box: SecretBox, pipe: Pipe) -> dict[str, str]:
    """The kind, and what is not secret."""
    try:
        credentials = decode_credentials(secret_box.decrypt(pipe.credentials_jwe))
    except WrongSecretKey:
        return {"kind": "encrypted with another secret key"}
    described = {"kind": str(type(credentials).__struct_config__.tag)}
    if isinstance(credentials, Basic):
        described["key"] = credentials.key
    elif isinstance(credentials, OAuth2):
        described |= {"key": credentials.key, "token_url": credentials.token_url}
        if credentials.scope:
            described["scope"] = credentials.scope
    return described


def _lag(position_at: datetime | None, at: datetime | None) -> float | None:
    if position_at is None or at is None:
        return None
    return round(max((at - position_at).total_seconds(), 0.0), 1)


def _visible(operator: Operator, error: str | None) -> str | None:
    """An error; it can contain the beginning of a response, and so identities."""
    return error if error is None or operator.may("operator") else HIDDEN


def _visible_filter(operator: Operator, chosen: Mapping[str, Any]) -> Mapping[str, Any]:
    if operator.may("operator") or "agent" not in chosen:
        return chosen
    return {**chosen, "agent": HIDDEN}
