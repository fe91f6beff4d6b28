"""Readiness: what a client that writes would meet now.

A probe reads the schema version and commits a page. It runs only on request, at most twice a
second, and one at a time: an anonymous client cannot load the database with it. Requests share the
next probe that begins, and wait for it for a limited time. While a probe hangs, they do not wait.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from lrs.errors import Unavailable
from lrs.store import migrations, write_probe
from lrs.store.postgres import Database

OK = "ok"
_UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """The state of each check by its name, `ok` or a reason; the schema version if that is read."""

    checks: dict[str, str] = field(default_factory=dict)
    schema: int | None = None


class Readiness:
    """The probe of one worker. `interval` and `timeout` are in seconds."""

    def __init__(
        self,
        database: Database,
        *,
        has_capacity: Callable[[], bool],
        interval: float = 0.5,
        timeout: float = 1.3,
    ) -> None:
        self._database = database
        self._has_capacity = has_capacity
        self._interval = interval
        self._timeout = timeout
        self._next: asyncio.Task[ProbeResult] | None = None
        self._current: asyncio.Task[ProbeResult] | None = None
        self._started_at = 0.0

    async def read(self, *, is_worker_full: bool = False) -> ProbeResult:
        """The result of a probe that begins after this call."""
        result = await self._probe()
        load = {
            "queue": OK if self._has_capacity() else "full",
            "requests": "full" if is_worker_full else OK,
        }
        return ProbeResult(result.checks | load, result.schema)

    async def _probe(self) -> ProbeResult:
        if not self._hangs():
            if self._next is None:
                self._next = asyncio.create_task(self._run_next())
            probe = self._next
            await asyncio.wait([probe], timeout=self._timeout)
            if probe.done():
                return probe.result()
        return ProbeResult({"database": "no answer", "schema": _UNKNOWN, "write": _UNKNOWN})

    def _hangs(self) -> bool:
        if self._current is None or self._current.done():
            return False
        return time.monotonic() - self._started_at > self._timeout

    async def _run_next(self) -> ProbeResult:
        await asyncio.sleep(self._started_at + self._interval - time.monotonic())
        if self._current is not None:
            await asyncio.wait([self._current])
        self._current, self._next = self._next, None
        self._started_at = time.monotonic()
        return await self._run()

    async def _run(self) -> ProbeResult:
        try:
            schema = await migrations.verify(self._database.readers)
        except migrations.UnknownSchema as error:
            return ProbeResult({"database": OK, "schema": error.detail, "write": _UNKNOWN})
        except Exception as error:
            reason = write_probe.reason(error)
            return ProbeResult({"database": reason, "schema": _UNKNOWN, "write": _UNKNOWN})
        write = OK
        try:
            await write_probe.write(self._database.writers)
        except Exception as error:
            write = write_probe.reason(error)
        return ProbeResult({"database": OK, "schema": OK, "write": write}, schema)

    async def close(self) -> None:
        tasks = [task for task in (self._next, self._current) if task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def not_ready(result: ProbeResult) -> Unavailable | None:
    """The error that names each failed check; None if there is none."""
    failed = [f"{name}: {state}" for name, state in result.checks.items() if state != OK]
    if not failed:
        return None
    detail = "; ".join(failed).rstrip(".")
    return Unavailable(f"Not ready: {detail}.", headers={"Retry-After": "1"})
