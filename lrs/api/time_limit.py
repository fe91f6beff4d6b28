"""The time limit of a request: a database that hangs delays no response beyond it.

A request may wait for the database several times, in turn: for a connection, for a query that it
shares with other requests, in the queue of statements. The timeout of a query bounds each of these
waits, and the time limit bounds their sum. The time in which the client sends its body does not
count.
"""

from __future__ import annotations

import asyncio

from starlette.types import Scope

from lrs.errors import OutcomeUnknown, Unavailable

_KEY = "time_limit"


def begin(scope: Scope, seconds: float) -> asyncio.Timeout:
    """The timeout that cancels the handler of a request; an asynchronous context manager."""
    timeout = asyncio.timeout(seconds)
    scope[_KEY] = timeout, seconds
    return timeout


def suspend(scope: Scope) -> None:
    """Stop the clock: for the rest of the body, or for work that may take long."""
    timeout, _ = scope.get(_KEY, _NONE)
    if timeout:
        timeout.reschedule(None)


def restart(scope: Scope) -> None:
    """Start the clock again, from zero."""
    timeout, seconds = scope.get(_KEY, _NONE)
    if timeout:
        timeout.reschedule(asyncio.get_running_loop().time() + seconds)


_NONE = (None, 0.0)


def exceeded(scope: Scope, cause: TimeoutError) -> Unavailable:
    """The error of a request whose handler was cancelled."""
    headers = {"Retry-After": "1"}
    error = Unavailable("The database does not answer.", headers=headers)
    if scope["method"] not in ("GET", "HEAD"):
        error = OutcomeUnknown(
            "The database does not answer: the request may have taken effect.", headers=headers
        )
    error.__cause__ = cause
    return error
