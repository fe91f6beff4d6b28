"""The engine: leases, commits, backoff, pauses. Directions are scripted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from uuid import uuid4

import pytest

from lrs.api.services import Services
from lrs.pipes.client.endpoint import Endpoint
from lrs.pipes.engine import EngineTimes
from lrs.pipes.model import PipeError, StepResult
from lrs.store import dead_letters
from lrs.store import pipes as store
from lrs.store.dead_letters import DeadLetter
from lrs.store.pipes import Pipe
from tests.support.partners import Partner
from tests.support.pipes import add_pipe, engine, run_until_waiting


class Scripted:
    """A direction that calls a function."""

    def __init__(self, script: Callable[[Pipe], Awaitable[StepResult]]) -> None:
        self._script = script

    async def step(self, pipe: Pipe, endpoint: Endpoint) -> StepResult:
        return await self._script(pipe)


async def count_to_three(pipe: Pipe) -> StepResult:
    number = pipe.cursor.get("number", 0) + 1
    return StepResult({"number": number}, {"stored": 2}, None if number < 3 else 60.0)


async def test_steps_move_the_cursor_until_the_pipe_waits(
    partner: Partner, services: Services
) -> None:
    pipe = await add_pipe(services.database, partner.partner_id)
    running = engine(services.database, {"pull": Scripted(count_to_three)})
    result = await run_until_waiting(running, pipe)
    assert (result.state, result.cursor, result.counts) == ("waiting", {"number": 3}, {"stored": 6})
    stored = await store.get(services.database, partner.partner_id, "pipe")
    assert not stored.is_leased
    (run,) = await store.list_runs(services.database, partner.partner_id, "pipe", 10)
    assert run.counts == {"stored": 6}


async def test_two_engines_never_run_one_pipe_at_once(partner: Partner, services: Services) -> None:
    active, most, steps = 0, 0, 0
    is_done = asyncio.Event()

    async def script(pipe: Pipe) -> StepResult:
        nonlocal active, most, steps
        if pipe.partner_id != partner.partner_id:  # a due pipe of another test
            return StepResult(pipe.cursor, wait_seconds=60.0)
        active += 1
        most = max(most, active)
        await asyncio.sleep(0.01)
        active -= 1
        steps += 1
        if steps == 10:
            is_done.set()
        return StepResult({"number": pipe.cursor.get("number", 0) + 1}, wait_seconds=0.0)

    await add_pipe(services.database, partner.partner_id)
    directions = {"pull": Scripted(script)}
    tasks = [asyncio.create_task(engine(services.database, directions).run()) for _ in range(2)]
    async with asyncio.timeout(20):
        await is_done.wait()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert most == 1
    await store.remove(services.database, partner.partner_id, "pipe")


async def test_failed_step_keeps_the_cursor_and_backs_off(
    partner: Partner, services: Services
) -> None:
    async def script(pipe: Pipe) -> StepResult:
        raise PipeError("The source answers 500.", retry_seconds=900)

    pipe = await add_pipe(services.database, partner.partner_id)
    result = await run_until_waiting(engine(services.database, {"pull": Scripted(script)}), pipe)
    assert (result.state, result.failures, result.cursor) == ("failing", 1, {})
    assert result.last_error == "The source answers 500."
    stored = await store.get(services.database, partner.partner_id, "pipe")
    assert (stored.next_try_at - stored.created_at).total_seconds() > 800
    (run,) = await store.list_runs(services.database, partner.partner_id, "pipe", 10)
    assert run.error == "The source answers 500."


async def test_unexpected_error_in_a_step_is_retried(partner: Partner, services: Services) -> None:
    async def script(pipe: Pipe) -> StepResult:
        raise KeyError("x")

    pipe = await add_pipe(services.database, partner.partner_id)
    result = await run_until_waiting(engine(services.database, {"pull": Scripted(script)}), pipe)
    assert (result.state, result.last_error) == ("failing", "Internal error: KeyError.")


async def test_process_that_lost_its_lease_changes_nothing(
    partner: Partner, services: Services
) -> None:
    pipe = await add_pipe(services.database, partner.partner_id)
    running = engine(services.database, {"pull": Scripted(count_to_three)})
    lost = await running.claim((partner.partner_id, "pipe"))
    assert lost is not None
    await store.renew(services.database, lost, -1)
    current = await running.claim((partner.partner_id, "pipe"))
    assert current is not None
    await running.run_slice(lost)
    stored = await store.get(services.database, partner.partner_id, "pipe")
    assert (stored.cursor, stored.lease) == ({}, current.lease)
    assert pipe.cursor == {}


async def test_pause_during_a_step_lasts(partner: Partner, services: Services) -> None:
    async def script(pipe: Pipe) -> StepResult:
        await store.set_state(services.database, partner.partner_id, "pipe", "paused")
        return StepResult({"number": 1})

    pipe = await add_pipe(services.database, partner.partner_id)
    result = await run_until_waiting(engine(services.database, {"pull": Scripted(script)}), pipe)
    assert (result.state, result.cursor) == ("paused", {"number": 1})
    assert (
        await engine(services.database, {"pull": Scripted(script)}).claim(
            (partner.partner_id, "pipe")
        )
        is None
    )


async def test_lost_lease_cancels_the_step(partner: Partner, services: Services) -> None:
    is_cancelled = asyncio.Event()

    async def script(pipe: Pipe) -> StepResult:
        await store.renew(services.database, pipe, -1)
        await engine(services.database, {"pull": Scripted(script)}).claim(
            (pipe.partner_id, pipe.name)
        )
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            is_cancelled.set()
            raise
        return StepResult({})

    pipe = await add_pipe(services.database, partner.partner_id)
    running = engine(services.database, {"pull": Scripted(script)}, times=EngineTimes(lease=0.4))
    claimed = await running.claim((pipe.partner_id, pipe.name))
    assert claimed is not None
    async with asyncio.timeout(10):
        await running.run_slice(claimed)
    assert is_cancelled.is_set()


async def test_dead_letters_are_committed_with_the_cursor(
    partner: Partner, services: Services
) -> None:
    statement_id = uuid4()

    async def script(pipe: Pipe) -> StepResult:
        letter = DeadLetter(statement_id, "refused\0", "http://t", 400, response="ü" * 5000)
        return StepResult({"number": 1}, letters=[letter], wait_seconds=1.0)

    pipe = await add_pipe(services.database, partner.partner_id)
    running = engine(services.database, {"pull": Scripted(script)})
    for _ in range(2):
        await run_until_waiting(running, pipe)
    (letter,) = await dead_letters.list_letters(services.database, partner.partner_id, "pipe")
    assert (letter.statement_id, letter.attempts, letter.response) == (statement_id, 2, "ü" * 2048)
    assert (
        await dead_letters.retry_letters(services.database, partner.partner_id, "pipe", None) == 1
    )
    (letter,) = await dead_letters.list_letters_to_retry(
        services.database, pipe.partner_id, pipe.name, 10
    )
    assert letter.retry


async def test_pipe_of_a_disabled_partner_is_not_due(partner: Partner, services: Services) -> None:
    await add_pipe(services.database, partner.partner_id)
    async with services.database.readers.acquire() as connection:
        await connection.execute(
            "update partner set disabled_reason = 'x', disabled_at = now() where partner_id = $1",
            partner.partner_id,
        )
    running = engine(services.database, {"pull": Scripted(count_to_three)})
    assert await running.claim((partner.partner_id, "pipe")) is None


@pytest.mark.parametrize("failures", [1, 5, 100])
def test_backoff_is_between_bounds(failures: int, services: Services) -> None:
    waits = [engine(services.database, {})._backoff(failures) for _ in range(100)]
    assert min(waits) >= 0.01
    assert max(waits) <= 0.1
