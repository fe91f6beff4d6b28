"""Pipes, their leases, cursors and runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from lrs import resources
from lrs.errors import Conflict, NotFound
from lrs.store.dead_letters import DeadLetter, delete_letters, upsert_letters
from lrs.store.named_queries import fetch
from lrs.store.postgres import Connection, Database, translate_errors
from lrs.store.storable_text import replace_unstorable

Json = dict[str, Any]

JSON_COLUMNS = ("filter", "options", "cursor", "counts", "requests")
_MAX_RESPONSE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Pipe:
    """A pipe as stored. Credentials are encrypted (JWE, see `lrs.auth.secret_box`).

    `counts` are statements by outcome, `requests` by status, since the pipe was added.
    `position_at` is the time of `stored` up to which statements are moved.
    """

    partner_id: int
    partner: str
    home_page: str
    name: str
    direction: str
    url: str
    credentials_jwe: str
    version: str
    filter: Json
    options: Json
    state: str
    cursor: Json
    counts: Json
    requests: Json
    config_version: int
    cursor_version: int
    failures: int
    last_error: str | None
    next_try_at: datetime
    last_success_at: datetime | None
    position_at: datetime | None
    created_at: datetime
    lease: UUID | None
    lease_until: datetime | None
    is_leased: bool
    dead_letters: int


@dataclass(frozen=True, slots=True)
class Step:
    """What one step changes, committed at once with the dead letters of the step.

    `delivered` are the ids of dead letters that are delivered now: they are deleted.
    """

    cursor: Json
    state: str
    wait_seconds: float
    failures: int = 0
    error: str | None = None
    counts: Mapping[str, int] | None = None
    requests: Mapping[str, int] | None = None
    position_at: datetime | None = None
    letters: Sequence[DeadLetter] = ()
    delivered: Sequence[UUID] = ()


@dataclass(frozen=True, slots=True)
class PipeRun:
    """One run: the steps of a process until the pipe had nothing to do or a slice of time ended."""

    run_id: UUID
    started_at: datetime
    server: str
    counts: Json
    requests: Json
    error: str | None = None
    ended_at: datetime | None = None
    position_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PipeCredentials:
    """The encrypted credentials of a pipe."""

    partner_id: int
    partner: str
    name: str
    credentials_jwe: str


async def add(
    database: Database,
    partner_id: int,
    name: str,
    *,
    direction: str,
    url: str,
    credentials_jwe: str,
    version: str,
    filter: Json,  # noqa: A002 - the name of the column
    options: Json,
    cursor: Json | None = None,
) -> None:
    """Raises Conflict if the partner has a pipe of this name."""
    rows = await fetch(
        database.readers, "insert_pipe", partner_id, name, direction, url, credentials_jwe, version,
        _dump(filter), _dump(options), _dump(cursor or {}),
    )  # fmt: skip
    if not rows:
        raise Conflict(f"Pipe {name!r} already exists.")


async def list_pipes(database: Database, partner_id: int | None) -> list[Pipe]:
    """The pipes of one partner, or of all."""
    return [_pipe(row) for row in await fetch(database.readers, "list_pipes", partner_id)]


async def get(database: Database, partner_id: int, name: str) -> Pipe:
    """Raises NotFound."""
    rows = await fetch(database.readers, "get_pipe", partner_id, name)
    if not rows:
        raise _not_found(name)
    return _pipe(rows[0])


async def claim(
    database: Database,
    directions: Sequence[str],
    lease: UUID,
    lease_seconds: float,
    *,
    pipe: tuple[int, str] | None = None,
) -> Pipe | None:
    """Leases a due pipe, or the one with this partner id and name, due or not. None if there is
    none that no other process leases. Raises Unavailable.
    """
    partner_id, name = pipe or (None, None)
    rows = await fetch(
        database.readers, "claim_pipe", list(directions), lease, lease_seconds, partner_id, name
    )
    return _pipe(rows[0]) if rows else None


async def renew(database: Database, pipe: Pipe, lease_seconds: float) -> bool:
    """Whether the lease is still held. Raises Unavailable."""
    return bool(
        await fetch(
            database.readers,
            "renew_pipe_lease",
            pipe.partner_id,
            pipe.name,
            pipe.lease,
            lease_seconds,
        )
    )


async def commit_step(database: Database, pipe: Pipe, step: Step) -> Pipe | None:
    """Commits a step if the lease is still held; returns the pipe as it is now, else None.

    Raises Unavailable.
    """
    if not step.letters and not step.delivered:  # one round trip, and no transaction block
        row = await _fetch_step(database.readers, pipe, step)
        return None if row is None else _pipe(row)
    with translate_errors():
        async with database.readers.acquire() as connection, connection.transaction():
            row = await _fetch_step(connection, pipe, step)
            if row is None:
                return None
            if step.delivered:
                await delete_letters(connection, pipe.partner_id, pipe.name, step.delivered)
            if step.letters:
                await upsert_letters(connection, pipe.partner_id, pipe.name, step.letters)
    return _pipe(row)


async def _fetch_step(connection: Connection, pipe: Pipe, step: Step) -> asyncpg.Record | None:
    with translate_errors():
        return await connection.fetchrow(
            resources.query("commit_pipe_step"),
            pipe.partner_id,
            pipe.name,
            pipe.lease,
            _dump(step.cursor),
            step.state,
            step.error and replace_unstorable(step.error),
            step.failures,
            _dump(step.counts or {}),
            _dump(step.requests or {}),
            step.position_at,
            step.wait_seconds,
            pipe.cursor_version,
        )


async def release(database: Database, pipe: Pipe) -> None:
    await fetch(database.readers, "release_pipe", pipe.partner_id, pipe.name, pipe.lease)


async def set_config(database: Database, pipe: Pipe, cursor: Json | None = None) -> None:
    """Writes URL, credentials, version, filter and options, and a cursor if it is reset.

    Raises NotFound.
    """
    rows = await fetch(
        database.readers, "set_pipe_config", pipe.partner_id, pipe.name, pipe.url,
        pipe.credentials_jwe, pipe.version, _dump(pipe.filter), _dump(pipe.options),
        None if cursor is None else _dump(cursor),
    )  # fmt: skip
    if not rows:
        raise _not_found(pipe.name)


async def set_state(database: Database, partner_id: int, name: str, state: str) -> None:
    """Raises NotFound."""
    if not await fetch(database.readers, "set_pipe_state", partner_id, name, state):
        raise _not_found(name)


async def set_cursor(database: Database, partner_id: int, name: str, cursor: Json) -> None:
    """Raises Conflict if a process runs the pipe."""
    if not await fetch(database.readers, "set_pipe_cursor", partner_id, name, _dump(cursor)):
        raise Conflict(f"Pipe {name!r} is running: pause it first.")


async def remove(database: Database, partner_id: int, name: str) -> None:
    """With its runs and dead letters. Raises NotFound."""
    if not await fetch(database.readers, "delete_pipe", partner_id, name):
        raise _not_found(name)


async def put_run(database: Database, pipe: Pipe, run: PipeRun) -> None:
    """Inserts or updates a run. Does nothing if the pipe is removed."""
    await fetch(
        database.readers, "upsert_pipe_run", pipe.partner_id, pipe.name, run.run_id,
        run.started_at, run.server, run.error and replace_unstorable(run.error),
        _dump(run.counts), _dump(run.requests), run.position_at,
    )  # fmt: skip


async def list_runs(
    database: Database,
    partner_id: int,
    name: str,
    limit: int,
    *,
    before: tuple[datetime, UUID] | None = None,
) -> list[PipeRun]:
    """Newest first; `before` are start and id of the last run of the page before."""
    started_at, run_id = before or (None, None)
    rows = await fetch(
        database.readers, "list_pipe_runs", partner_id, name, started_at, run_id, limit
    )
    return [PipeRun(**_decoded(row)) for row in rows]


async def delete_old_runs(database: Database, before: datetime) -> None:
    await fetch(database.readers, "delete_old_pipe_runs", before)


async def list_credentials(
    database: Database, after: tuple[int, str], limit: int
) -> list[PipeCredentials]:
    """A page of the encrypted credentials of all pipes, after a partner's id and a pipe's name."""
    rows = await fetch(database.readers, "list_pipe_credentials", *after, limit)
    return [PipeCredentials(*row) for row in rows]


async def replace_credentials(database: Database, old: PipeCredentials, new_jwe: str) -> bool:
    """Whether the credentials were still the old ones, and are replaced."""
    return bool(
        await fetch(
            database.readers, "replace_pipe_credentials", old.partner_id, old.name,
            old.credentials_jwe, new_jwe,
        )
    )  # fmt: skip


def _dump(value: Mapping[str, Any]) -> str:
    return orjson.dumps(value).decode()


def _decoded(row: asyncpg.Record) -> Json:
    return {
        name: orjson.loads(value) if name in JSON_COLUMNS and value is not None else value
        for name, value in row.items()
    }


def _pipe(row: asyncpg.Record) -> Pipe:
    return Pipe(**_decoded(row))


def _not_found(name: str) -> NotFound:
    return NotFound(f"Pipe {name!r} not found.")
