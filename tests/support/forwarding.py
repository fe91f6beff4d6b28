"""Statements to forward, and forwarding pipes of tests."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from lrs.api.services import Services
from lrs.pipes.engine import Engine
from lrs.pipes.forward.delivery import Backoff
from lrs.pipes.forward.direction import ForwardDirection
from lrs.projection.vocabulary import load_vocabulary
from lrs.store import dead_letters
from lrs.store import pipes as store
from lrs.store.dead_letters import DeadLetter
from lrs.store.pipes import Pipe, PipeRun, Step
from tests.support import pipes
from tests.support.partners import Partner
from tests.support.statements import new_id, statement

SHORT = Backoff(base=0.001, maximum=0.01, denied=0.01)


async def store_statements(partner: Partner, statements: Sequence[dict[str, Any]]) -> None:
    """Stores them in batches of 100."""
    for start in range(0, len(statements), 100):
        answer = await partner.http.post(
            partner.url("statements"),
            json=statements[start : start + 100],
            headers=partner.headers,
        )
        assert answer.status_code == 200, answer.text


async def store_many(partner: Partner, count: int, **members: Any) -> list[str]:
    """Stores small statements; returns their ids."""
    ids = [new_id() for _ in range(count)]
    await store_statements(partner, [statement(id=item, **members) for item in ids])
    return ids


def forwarding(services: Services, backoff: Backoff = SHORT) -> Engine:
    direction = ForwardDirection(services.database, load_vocabulary(), backoff=backoff)
    return pipes.engine(services.database, {"forward": direction})


async def add_pipe(services: Services, partner: Partner, url: str, **values: Any) -> Pipe:
    """A started pipe that forwards all statements."""
    return await pipes.add_pipe(
        services.database,
        partner.partner_id,
        direction="forward",
        url=url,
        **{"start": "beginning", "version": "auto", **values},
    )


async def run_until_settled(engine: Engine, pipe: Pipe, slices: int = 60) -> Pipe:
    """Runs the pipe until it waits for new statements, or is paused."""
    for _ in range(slices):
        pipe = await pipes.run_until_waiting(engine, pipe)
        if pipe.state == "paused" or (pipe.state == "waiting" and not has_work(pipe)):
            return pipe
    raise AssertionError(f"{pipe.state}: {pipe.last_error}")


def has_work(pipe: Pipe) -> bool:
    """Whether the last request settled nothing, so that its statements are sent again."""
    return bool(pipe.cursor["delivery"]["failures"])


async def letters(services: Services, pipe: Pipe) -> dict[str, DeadLetter]:
    """The dead letters of a pipe by statement id."""
    rows = await dead_letters.list_letters(
        services.database, pipe.partner_id, pipe.name, limit=2_000
    )
    return {str(letter.statement_id): letter for letter in rows}


async def add_dead_letter(services: Services, partner: Partner, statement_id: str) -> None:
    """A failing pipe with a run, whose target has refused the statement."""
    database = services.database
    pipe = await add_pipe(services, partner, "https://target.example/xapi")
    claimed = await store.claim(database, ["forward"], uuid4(), 30, pipe=(pipe.partner_id, "pipe"))
    assert claimed is not None
    now, error = datetime.now(UTC), "ada@hidden.example is unknown"
    letter = DeadLetter(UUID(statement_id), "The target answers 400.", pipe.url, 400, None, error)
    step = Step(
        {}, "failing", 900, failures=1, error=error, letters=[letter], counts={"delivered": 3},
        requests={"400": 1, "200": 1}, position_at=now,
    )  # fmt: skip
    await store.commit_step(database, claimed, step)
    run = PipeRun(uuid4(), now, "server", {"delivered": 3}, {"200": 1}, position_at=now)
    await store.put_run(database, claimed, run)
    await store.release(database, claimed)
