"""Requests that are still running at the end of the shutdown timeout: they get 503.

uvicorn cancels them. It would answer 500 and log a traceback for each.
"""

from __future__ import annotations

from contextlib import suppress

from starlette.types import Receive, Scope, Send

from lrs.api import problem_details
from lrs.errors import OutcomeUnknown

_counted = 0


async def respond(scope: Scope, receive: Receive, send: Send, *, is_complete: bool) -> None:
    """Answer a cancelled request with 503, unless its response has begun."""
    global _counted
    _counted += is_complete
    with suppress(RuntimeError):  # the response has begun
        await problem_details.response(_stopping())(scope, receive, send)


def count() -> int:
    """The number of requests of this process that were cut; an unfinished upload is not one."""
    return _counted


def _stopping() -> OutcomeUnknown:
    return OutcomeUnknown(
        "The server is stopping: the request may have taken effect.", headers={"Retry-After": "1"}
    )
