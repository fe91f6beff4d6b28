"""Pipes, their leases, cursors, runs and dead letters, and where pulled statements come from."""

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
from lrs.store.postgres import Connection, Database, translate_errors

Json = dict[str, Any]

_JSON_COLUMNS = ("filter", "options", "cursor", "counts", "requests")
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
class DeadLetter:
    """A statement that the target refuses; `request` is None if the stored text was sent.

    Its key is the id of the statement: one that is refused again is the same letter. `response` is
    kept up to 4 KiB.
    """

    statement_id: UUID
    reason: str
    url: str
    status: int | None = None
    request: str | None = None
    response: str | None = None
    attempts: int = 1
    retry: bool = False
    created_at: datetime | None = None


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


@dataclass(frozen=True, slots=True)
class StatementOrigin:
    """What a source says of a statement; `authority` is JSON text, `origin` its scheme and host."""

    statement_id: str
    stored: datetime | None
    authority: str | None
    refused: bool = False


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
    rows = await _fetch(
        database.readers, "insert_pipe", partner_id, name, direction, url, credentials_jwe, version,
        _dump(filter), _dump(options), _dump(cursor or {}),
    )  # fmt: skip
    if not rows:
        raise Conflict(f"Pipe {name!r} already exists.")


async def list_pipes(database: Database, partner_id: int | None) -> list[Pipe]:
    """The pipes of one partner, or of all."""
    return [_pipe(row) for row in await _fetch(database.readers, "list_pipes", partner_id)]


async def get(database: Database, partner_id: int, name: str) -> Pipe:
    """Raises NotFound."""
    rows = await _fetch(database.readers, "get_pipe", partner_id, name)
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
    rows = await _fetch(
        database.readers, "claim_pipe", list(directions), lease, lease_seconds, partner_id, name
    )
    return _pipe(rows[0]) if rows else None


async def renew(database: Database, pipe: Pipe, lease_seconds: float) -> bool:
    """Whether the lease is still held. Raises Unavailable."""
    return bool(
        await _fetch(
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
                await connection.execute(
                    resources.query("delete_dead_letters"),
                    pipe.partner_id,
                    pipe.name,
                    list(step.delivered),
                )
            if step.letters:
                await connection.execute(
                    resources.query("upsert_dead_letters"),
                    pipe.partner_id,
                    pipe.name,
                    *_letter_columns(step.letters),
                )
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
            _storable(step.error),
            step.failures,
            _dump(step.counts or {}),
            _dump(step.requests or {}),
            step.position_at,
            step.wait_seconds,
            pipe.cursor_version,
        )


async def release(database: Database, pipe: Pipe) -> None:
    await _fetch(database.readers, "release_pipe", pipe.partner_id, pipe.name, pipe.lease)


async def set_config(database: Database, pipe: Pipe, cursor: Json | None = None) -> None:
    """Writes URL, credentials, version, filter and options, and a cursor if it is reset.

    Raises NotFound.
    """
    rows = await _fetch(
        database.readers, "set_pipe_config", pipe.partner_id, pipe.name, pipe.url,
        pipe.credentials_jwe, pipe.version, _dump(pipe.filter), _dump(pipe.options),
        None if cursor is None else _dump(cursor),
    )  # fmt: skip
    if not rows:
        raise _not_found(pipe.name)


async def set_state(database: Database, partner_id: int, name: str, state: str) -> None:
    """Raises NotFound."""
    if not await _fetch(database.readers, "set_pipe_state", partner_id, name, state):
        raise _not_found(name)


async def set_cursor(database: Database, partner_id: int, name: str, cursor: Json) -> None:
    """Raises Conflict if a process runs the pipe."""
    if not await _fetch(database.readers, "set_pipe_cursor", partner_id, name, _dump(cursor)):
        raise Conflict(f"Pipe {name!r} is running: pause it first.")


async def remove(database: Database, partner_id: int, name: str) -> None:
    """With its runs and dead letters. Raises NotFound."""
    if not await _fetch(database.readers, "delete_pipe", partner_id, name):
        raise _not_found(name)


async def put_run(database: Database, pipe: Pipe, run: PipeRun) -> None:
    """Inserts or updates a run. Does nothing if the pipe is removed."""
    await _fetch(
        database.readers, "upsert_pipe_run", pipe.partner_id, pipe.name, run.run_id,
        run.started_at, run.server, _storable(run.error), _dump(run.counts), _dump(run.requests),
    )  # fmt: skip


async def list_runs(database: Database, partner_id: int, name: str, limit: int) -> list[PipeRun]:
    """The last runs, newest first."""
    rows = await _fetch(database.readers, "list_pipe_runs", partner_id, name, limit)
    return [PipeRun(**_decoded(row)) for row in rows]


async def delete_old_runs(database: Database, before: datetime) -> None:
    await _fetch(database.readers, "delete_old_pipe_runs", before)


async def list_letters(
    database: Database, partner_id: int, name: str, *, after: UUID | None = None, limit: int = 100
) -> list[DeadLetter]:
    """A page of dead letters in the order of their ids."""
    rows = await _fetch(database.readers, "list_dead_letters", partner_id, name, after, limit)
    return [_letter(row) for row in rows]


async def list_letters_to_retry(database: Database, pipe: Pipe, limit: int) -> list[DeadLetter]:
    """Dead letters that an operator wants to be sent again."""
    rows = await _fetch(
        database.readers, "list_letters_to_retry", pipe.partner_id, pipe.name, limit
    )
    return [_letter(row) for row in rows]


async def retry_letters(
    database: Database, partner_id: int, name: str, ids: Sequence[UUID] | None
) -> int:
    """Marks dead letters, or all, to be sent again; returns their number."""
    rows = await _fetch(database.readers, "retry_dead_letters", partner_id, name, ids)
    return int(rows[0]["count"])


async def drop_letters(
    database: Database, partner_id: int, name: str, ids: Sequence[UUID] | None
) -> int:
    """Deletes dead letters, or all; returns their number."""
    return len(await _fetch(database.readers, "delete_dead_letters", partner_id, name, ids))


async def count_letters(database: Database, pipe: Pipe) -> int:
    rows = await _fetch(database.readers, "count_dead_letters", pipe.partner_id, pipe.name)
    return int(rows[0]["count"])


async def list_letter_ids(database: Database, pipe: Pipe, ids: Sequence[str]) -> set[str]:
    """Those of the statements that are dead letters of the pipe."""
    rows = await _fetch(
        database.readers, "list_letters_among", pipe.partner_id, pipe.name, list(ids)
    )
    return {row["statement_id"] for row in rows}


async def add_origins(
    database: Database, pipe: Pipe, origin: str, items: Sequence[StatementOrigin]
) -> None:
    """Records that a source has statements; what is recorded stays. Raises Unavailable."""
    await _fetch(
        database.readers,
        "insert_statement_origins",
        pipe.partner_id,
        pipe.name,
        origin,
        [item.statement_id for item in items],
        [item.stored for item in items],
        [item.authority for item in items],
        [item.refused for item in items],
    )


async def list_origins(database: Database, partner_id: int, statement_id: UUID) -> list[Json]:
    """The sources that have a statement: pipe, origin, stored, authority."""
    rows = await _fetch(database.readers, "list_statement_origins", partner_id, statement_id)
    return [
        {**row, "authority": orjson.loads(row["authority"]) if row["authority"] else None}
        for row in rows
    ]


async def list_ids_of_origin(
    database: Database, partner_id: int, ids: Sequence[str], origin: str
) -> set[str]:
    """Those of the statements that the source with this scheme, host and port has."""
    rows = await _fetch(
        database.readers, "list_statements_of_origin", partner_id, list(ids), origin
    )
    return {row["statement_id"] for row in rows}


async def list_ids_of_pipe(database: Database, pipe: Pipe, ids: Sequence[str]) -> set[str]:
    """Those of the statements whose origin the pipe has recorded."""
    rows = await _fetch(
        database.readers, "list_statements_of_pipe", pipe.partner_id, list(ids), pipe.name
    )
    return {row["statement_id"] for row in rows}


async def forget_refused(database: Database, partner_id: int, name: str) -> None:
    """Statements that were refused are read again."""
    await _fetch(database.readers, "delete_refused_origins", partner_id, name)


async def list_stored_ids(database: Database, partner_id: int, ids: Sequence[str]) -> set[str]:
    """Those of the ids that are stored."""
    rows = await _fetch(database.readers, "list_stored_ids", partner_id, list(ids))
    return {row["statement_id"] for row in rows}


async def list_credentials(
    database: Database, after: tuple[int, str], limit: int
) -> list[PipeCredentials]:
    """A page of the encrypted credentials of all pipes, after a partner's id and a pipe's name."""
    rows = await _fetch(database.readers, "list_pipe_credentials", *after, limit)
    return [PipeCredentials(*row) for row in rows]


async def replace_credentials(database: Database, old: PipeCredentials, new_jwe: str) -> bool:
    """Whether the credentials were still the old ones, and are replaced."""
    return bool(
        await _fetch(
            database.readers, "replace_pipe_credentials", old.partner_id, old.name,
            old.credentials_jwe, new_jwe,
        )
    )  # fmt: skip


async def _fetch(pool: asyncpg.Pool, query: str, *arguments: object) -> list[asyncpg.Record]:
    with translate_errors():
        rows: list[asyncpg.Record] = await pool.fetch(resources.query(query), *arguments)
    return rows


def _letter_columns(letters: Sequence[DeadLetter]) -> list[list[Any]]:
    return [
        [letter.statement_id for letter in letters],
        [_storable(letter.reason) for letter in letters],
        [letter.status for letter in letters],
        [letter.url for letter in letters],
        [_storable(letter.request) for letter in letters],
        [_cut(_storable(letter.response)) for letter in letters],
    ]


def _storable(text: str | None) -> str | None:
    """The text without what PostgreSQL cannot store."""
    if text is None:
        return None
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def _cut(text: str | None) -> str | None:
    return text and text.encode()[:_MAX_RESPONSE_BYTES].decode("utf-8", "ignore")


def _dump(value: Mapping[str, Any]) -> str:
    return orjson.dumps(value).decode()


def _decoded(row: asyncpg.Record) -> Json:
    return {
        name: orjson.loads(value) if name in _JSON_COLUMNS and value is not None else value
        for name, value in row.items()
    }


def _pipe(row: asyncpg.Record) -> Pipe:
    return Pipe(**_decoded(row))


def _letter(row: asyncpg.Record) -> DeadLetter:
    return DeadLetter(
        **{name: value for name, value in row.items() if name not in ("partner_id", "pipe")}
    )


def _not_found(name: str) -> NotFound:
    return NotFound(f"Pipe {name!r} not found.")
