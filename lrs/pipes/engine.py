"""The engine: leases due pipes, runs their steps, commits what they did, retries with backoff.

Every server has one. A pipe is leased by one process, which sends one request at a time; the lease
is renewed while it runs. Every commit of a step requires the lease: a process that lost it changes
nothing. After kill -9, the next process continues with the committed cursor.
"""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import httpx

from lrs.auth.secret_box import SecretBox, WrongSecretKey
from lrs.errors import LRSError
from lrs.pipes import options
from lrs.pipes.client.address_rules import AddressRules
from lrs.pipes.client.endpoint import MAX_REQUEST_SECONDS, Endpoint, open_endpoint
from lrs.pipes.model import Direction, PipeError, StepResult
from lrs.store import pipes as store
from lrs.store.pipes import Pipe, PipeRun, Step
from lrs.store.postgres import Database

_log = logging.getLogger("lrs.pipes")

MAX_CONCURRENT_PIPES = 4
"""Of one process."""

_LEASE_SECONDS = 30.0
_SLICE_SECONDS = 30.0
_IDLE_SECONDS = 1.0
_MIN_BACKOFF_SECONDS = 1.0
_MAX_BACKOFF_SECONDS = 900.0
_MAX_ERROR_LENGTH = 1000
_RUNS_TTL = timedelta(days=30)
_CLEANUP_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class EngineTimes:
    """Times in seconds: of a lease, of a slice after which other pipes have their turn, of the
    pause without due pipes, of the backoff, and the longest time of a request.
    """

    lease: float = _LEASE_SECONDS
    slice: float = _SLICE_SECONDS
    idle: float = _IDLE_SECONDS
    min_backoff: float = _MIN_BACKOFF_SECONDS
    max_backoff: float = _MAX_BACKOFF_SECONDS
    request: float = MAX_REQUEST_SECONDS


@dataclass(slots=True)
class _Run:
    """What one process did with a pipe since it leased it."""

    run_id: UUID = field(default_factory=uuid4)
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    counts: Counter[str] = field(default_factory=Counter)
    requests: Counter[str] = field(default_factory=Counter)
    error: str | None = None
    position_at: datetime | None = None


class Engine:
    """Runs pipes. `directions` are those that the process runs."""

    def __init__(
        self,
        database: Database,
        secret_box: SecretBox,
        rules: AddressRules,
        directions: Mapping[str, Direction],
        *,
        times: EngineTimes | None = None,
        on_step: Callable[[Pipe], None] = lambda _: None,
    ) -> None:
        self._database = database
        self._secret_box = secret_box
        self._rules = rules
        self._directions = directions
        self._times = times or EngineTimes()
        self._on_step = on_step
        self._server = socket.gethostname()
        self._cleaned_at = float("-inf")

    async def run(self) -> None:
        """Runs due pipes without end, a few at a time. Cancel it to stop.

        A step that is cancelled is repeated by the next process. Raises Unavailable.
        """
        running: set[asyncio.Task[Pipe]] = set()
        try:
            while True:
                await self._clean_up()
                while len(running) < MAX_CONCURRENT_PIPES:
                    pipe = await self.claim()
                    if pipe is None:
                        break
                    running.add(asyncio.create_task(self.run_slice(pipe)))
                if running:
                    done, running = await asyncio.wait(
                        running,
                        timeout=self._times.idle,
                        return_when=asyncio.FIRST_COMPLETED,
                    )
                    for task in done:
                        task.result()
                else:
                    await asyncio.sleep(self._times.idle)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def claim(self, pipe: tuple[int, str] | None = None) -> Pipe | None:
        """Leases a due pipe, or the named one; None if there is none. Raises Unavailable."""
        return await store.claim(
            self._database, list(self._directions), uuid4(), self._times.lease, pipe=pipe
        )

    async def run_slice(self, pipe: Pipe) -> Pipe:
        """Runs the steps of a leased pipe until it waits or other pipes have their turn.

        Releases the lease. Returns the pipe as last committed. Raises Unavailable.
        """
        run = _Run()
        steps = asyncio.create_task(self._run_steps(pipe, run))
        renewal = asyncio.create_task(self._keep_lease(pipe, steps))
        try:
            return await steps
        except asyncio.CancelledError:
            if asyncio.current_task().cancelling():  # type: ignore[union-attr]
                raise
            return pipe  # the lease is lost
        finally:
            for task in (steps, renewal):
                task.cancel()
            await asyncio.gather(steps, renewal, return_exceptions=True)
            with suppress(LRSError):
                await self._put_run(pipe, run)
                await store.release(self._database, pipe)

    async def _keep_lease(self, pipe: Pipe, steps: asyncio.Task[Pipe]) -> None:
        """Renews the lease; cancels the steps before it can end elsewhere."""
        renewed_at = time.monotonic()
        while True:
            await asyncio.sleep(self._times.lease / 4)
            try:
                async with asyncio.timeout(self._times.lease / 4):
                    if not await store.renew(self._database, pipe, self._times.lease):
                        break
                renewed_at = time.monotonic()
            except (LRSError, TimeoutError):
                if time.monotonic() - renewed_at > self._times.lease / 2:
                    break
        _log.warning("lease of a pipe is lost", extra={"partner": pipe.partner, "pipe": pipe.name})
        steps.cancel()

    async def _run_steps(self, pipe: Pipe, run: _Run) -> Pipe:
        try:
            credentials = options.decode_credentials(self._secret_box.decrypt(pipe.credentials_jwe))
        except WrongSecretKey:
            reason = "The credentials of the pipe are encrypted with another secret key."
            return await self._fail(pipe, run, PipeError(reason), Counter()) or pipe
        async with open_endpoint(
            pipe.url, credentials, self._rules, max_seconds=self._times.request
        ) as endpoint:
            ends_at = time.monotonic() + self._times.slice
            while time.monotonic() < ends_at:
                after = await self._step(pipe, endpoint, run)
                if after is None:
                    return pipe
                is_changed = after.config_version != pipe.config_version
                pipe = after
                self._on_step(pipe)
                if is_changed or pipe.state != "running":
                    return pipe
        return pipe

    async def _step(self, pipe: Pipe, endpoint: Endpoint, run: _Run) -> Pipe | None:
        """One step and its commit; None if the pipe is no longer leased."""
        try:
            result = await self._directions[pipe.direction].step(pipe, endpoint)
        except (PipeError, httpx.HTTPError, LRSError) as error:
            return await self._fail(pipe, run, error, endpoint.requests)
        except Exception as error:
            _log.exception("step of a pipe failed", exc_info=error)
            return await self._fail(pipe, run, error, endpoint.requests)
        after = await self._commit(pipe, run, _committed(pipe, result, endpoint.requests))
        if after is not None and result.pause_seconds:
            await asyncio.sleep(result.pause_seconds)
        return after

    async def _fail(
        self, pipe: Pipe, run: _Run, error: Exception, requests: Counter[str]
    ) -> Pipe | None:
        reason = reason_of(error)[:_MAX_ERROR_LENGTH]
        failures = pipe.failures + 1
        fixed = error.retry_seconds if isinstance(error, PipeError) else None
        wait = self._backoff(failures) if fixed is None else fixed
        is_paused = isinstance(error, PipeError) and error.pauses
        _log.warning(
            "pipe fails: %s",
            reason,
            extra={"partner": pipe.partner, "pipe": pipe.name, "retry_seconds": round(wait, 1)},
        )
        step = Step(
            pipe.cursor,
            "paused" if is_paused else "failing",
            wait,
            failures=failures,
            error=reason,
            requests=dict(requests),
        )
        requests.clear()
        return await self._commit(pipe, run, step)

    def _backoff(self, failures: int) -> float:
        """Full jitter, from one second to 15 minutes."""
        limit = min(self._times.min_backoff * 2.0 ** min(failures, 30), self._times.max_backoff)
        return random.uniform(self._times.min_backoff / 2, limit)  # noqa: S311 - not a secret

    async def _commit(self, pipe: Pipe, run: _Run, step: Step) -> Pipe | None:
        after = await store.commit_step(self._database, pipe, step)
        if after is None:
            return None
        run.counts.update(step.counts or {})
        run.requests.update(step.requests or {})
        run.error = step.error or run.error
        run.position_at = after.position_at
        return after

    async def _put_run(self, pipe: Pipe, run: _Run) -> None:
        if run.counts or run.error:
            values = PipeRun(
                run.run_id, run.started_at, self._server, dict(run.counts), dict(run.requests),
                run.error, position_at=run.position_at,
            )  # fmt: skip
            await store.put_run(self._database, pipe, values)

    async def _clean_up(self) -> None:
        if time.monotonic() - self._cleaned_at > _CLEANUP_SECONDS:
            await store.delete_old_runs(self._database, datetime.now(UTC) - _RUNS_TTL)
            self._cleaned_at = time.monotonic()


def _committed(pipe: Pipe, result: StepResult, requests: Counter[str]) -> Step:
    if result.is_done:
        state = "done"
    elif result.pauses:
        state = "paused"
    elif result.error:
        state = "failing"
    else:
        state = "running" if result.wait_seconds is None else "waiting"
    step = Step(
        result.cursor,
        state,
        result.wait_seconds or 0.0,
        failures=pipe.failures + 1 if result.error else 0,
        error=result.error and result.error[:_MAX_ERROR_LENGTH],
        counts={name: count for name, count in result.counts.items() if count},
        requests=dict(requests),
        position_at=result.position_at,
        letters=result.letters,
        delivered=result.delivered,
    )
    requests.clear()
    return step


def reason_of(error: Exception) -> str:
    """The reason of a failed step as one sentence."""
    if isinstance(error, PipeError):
        return error.reason
    if isinstance(error, LRSError):
        return error.detail_with_cause
    text = str(error).strip()
    if isinstance(error, httpx.HTTPError):
        kind = type(error).__name__
        return text if text.endswith(".") else f"{kind}: {text}." if text else f"{kind}."
    return f"Internal error: {type(error).__name__}."
