"""Steps that a process repeats: a failure is logged with what was to be done."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from lrs.errors import LRSError

Step = Callable[[], Awaitable[None]]


async def repeat(action: str, step: Step, seconds: float, log: logging.Logger) -> None:
    """Runs the step at once and then after every pause, until it is cancelled.

    `action` completes "cannot …" in the log, such as "judge alarms".
    """
    while True:
        try:
            await attempt(action, step, log)
        except Exception as error:
            log.exception("cannot %s", action, exc_info=error)
        await asyncio.sleep(seconds)


async def attempt(action: str, step: Step, log: logging.Logger) -> None:
    """Runs the step once; logs an error of the server, raises any other."""
    try:
        await step()
    except LRSError as error:
        log.warning("cannot %s: %s", action, error.detail_with_cause)
