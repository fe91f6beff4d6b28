"""Readiness: what a client that writes would meet now.

A probe reads the schema version and commits a page. It runs only when asked, at most once a second,
and one at a time: an anonymous client cannot load the database with it. A request waits for a probe
for a limited time. A probe that hangs is the answer of later requests until it ends.
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
    """The probe of one worker. `max_age` and `timeout` are in seconds."""

    def __init__(
        self,
        database: Database,
        *,
        has_capacity: Callable[[], bool],
        max_age: float = 1.0,
        timeout: float = 1.5,
    ) -> None:
        self._database = database
        self._has_capacity = has_capacity
        self._max_age = max_age
        self._timeout = timeout
        self._probe: asyncio.Task[ProbeResult] | None = None
        self._started_at = 0.0

    async def read(self) -> ProbeResult:
        """The result of the last probe, or of a new one."""
        result = await self._last_probe()
        queue = OK if self._has_capacity() else "full"
        return ProbeResult({**result.checks, "queue": queue}, result.schema)

    async def _last_probe(self) -> ProbeResult:
        now = time.monotonic()
        probe = self._probe
        if probe is None or (probe.done() and now - self._started_at >= self._max_age):
            probe = self._probe = asyncio.create_task(self._run())
            self._started_at = now
        if not probe.done():
            await asyncio.wait([probe], timeout=max(0.0, self._started_at + self._timeout - now))
        if probe.done():
            return probe.result()
        return ProbeResult({"database": "no answer", "schema": _UNKNOWN, "write": _UNKNOWN})

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
        if self._probe and not self._probe.done():
            self._probe.cancel()
            await asyncio.wait([self._probe])


def not_ready(result: ProbeResult) -> Unavailable | None:
    """The error that names each failed check; None if there is none."""
    failed = [f"{name}: {state}" for name, state in result.checks.items() if state != OK]
    if not failed:
        return None
    detail = "; ".join(failed).rstrip(".")
    return Unavailable(f"Not ready: {detail}.", headers={"Retry-After": "1"})
