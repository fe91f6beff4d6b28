"""Pages of pipes, and what operators do with one pipe beside changing it."""

from __future__ import annotations

from collections.abc import Collection

import orjson

from lrs import resources
from lrs.errors import NotFound
from lrs.store.pipes import JSON_COLUMNS, Pipe
from lrs.store.postgres import Database, translate_errors

_PAGE = resources.query("list_pipe_page")
_LOCK = resources.query("lock_pipe")
_SET_DUE = resources.query("set_pipe_due")
_FAILING = resources.query("list_failing_pipe_names")
_MAX_FAILING = 1000

Position = tuple[int, str, str]
"""The key of a list: the rank, the partner and the name of a pipe."""

FIRST: Position = (-1, "", "")


def needs_operator(pipe: Pipe) -> bool:
    """Whether the pipe fails, or has paused itself or was paused while it failed."""
    return pipe.state == "failing" or (pipe.state == "paused" and pipe.last_error is not None)


def position(pipe: Pipe) -> Position:
    """The key of a pipe in a page: those that need an operator are first."""
    return int(not needs_operator(pipe)), pipe.partner, pipe.name


async def fetch_page(
    database: Database,
    partner_id: int | None,
    *,
    within: Collection[int] | None,
    after: Position,
    limit: int,
) -> list[Pipe]:
    """The pipes of one partner, or of the partners `within`, or of all, after a position."""
    partners = None if within is None else sorted(within)
    with translate_errors():
        rows = await database.readers.fetch(_PAGE, partner_id, partners, *after, limit)
    return [
        Pipe(
            **{
                name: orjson.loads(value) if name in JSON_COLUMNS else value
                for name, value in row.items()
            }
        )
        for row in rows
    ]


async def lock(database: Database, partner_id: int, name: str) -> None:
    """Until the transaction ends, no process leases the pipe. Raises NotFound."""
    with translate_errors():
        if not await database.readers.fetch(_LOCK, partner_id, name):
            raise NotFound(f"Pipe {name!r} not found.")


async def set_due(database: Database, partner_id: int, name: str) -> bool:
    """Whether the pipe is started; then it runs at once."""
    with translate_errors():
        return bool(await database.readers.fetch(_SET_DUE, partner_id, name))


async def list_failing(database: Database, partner_ids: Collection[int]) -> dict[str, list[str]]:
    """The names of pipes of some partners that need an operator, by partner."""
    with translate_errors():
        rows = await database.readers.fetch(_FAILING, [*partner_ids], _MAX_FAILING)
    failing: dict[str, list[str]] = {}
    for row in rows:
        failing.setdefault(row["partner"], []).append(row["name"])
    return failing
