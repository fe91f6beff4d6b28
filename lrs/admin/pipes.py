"""Use cases for pipes: add, list, change, start, pause, run now, remove; their runs."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from lrs.admin.partners import find_partner
from lrs.admin.views import Page, decode_cursor, page, require_version, version
from lrs.auth.operators import Operator, record
from lrs.auth.secret_box import SecretBox
from lrs.errors import Conflict, InvalidParameter, Violation
from lrs.pipes import credential_rules
from lrs.pipes import options as rules
from lrs.pipes.options import Credentials
from lrs.store import pipe_lists, statement_origins
from lrs.store import pipes as store
from lrs.store.pipes import Pipe, PipeRun
from lrs.store.postgres import Database, open_transaction

VERSIONS = ("auto", "1.0.3", "2.0.0")

_RESTARTS = frozenset({"since", "start"})
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class NewPipe:
    """What an operator configures; `filter` and `options` are those of the direction."""

    name: str
    direction: str
    url: str
    credentials: Credentials
    version: str
    filter: Mapping[str, Any]
    options: Mapping[str, Any]


async def add_pipe(
    database: Database, operator: Operator, secret_box: SecretBox, partner: str, new: NewPipe
) -> Pipe:
    """Adds a pipe in the state `new`: it runs once it is started.

    Raises NotFound, InvalidParameter, Conflict, Forbidden.
    """
    operator.require("operator")
    owner = await find_partner(database, operator, partner)
    if new.direction not in rules.OPTIONS:
        raise _invalid("direction", f"expected pull or forward, found {new.direction[:80]!r}")
    if not _NAME.fullmatch(new.name):
        expected = (
            "1 to 64 letters, digits, dots, hyphens and underscores, the first no punctuation"
        )
        raise _invalid("name", f"expected {expected}, found {new.name[:80]!r}")
    _check_version(new.version)
    credential_rules.check(new.credentials, new.direction, new.options)
    chosen = rules.decode(rules.FILTERS[new.direction], new.filter, "filter")
    selected = rules.decode(rules.OPTIONS[new.direction], new.options)
    rules.check_times(selected)
    async with open_transaction(database) as transaction:
        await store.add(
            transaction,
            owner.partner_id,
            new.name,
            direction=new.direction,
            url=rules.valid_url(new.url),
            credentials_jwe=secret_box.encrypt(rules.encode_credentials(new.credentials)),
            version=new.version,
            filter=rules.encode(chosen),
            options=rules.encode(selected),
        )
        pipe = await store.get(transaction, owner.partner_id, new.name)
        await _record(transaction, operator, "pipe.add", pipe, after=described(pipe))
    return pipe


async def list_pipes(database: Database, operator: Operator, partner: str | None) -> list[Pipe]:
    """The pipes of a partner, or of all that the operator sees. Raises NotFound."""
    partner_id = (await find_partner(database, operator, partner)).partner_id if partner else None
    rows = await store.list_pipes(database, partner_id)
    return [row for row in rows if operator.sees(row.partner_id)]


async def list_page(
    database: Database,
    operator: Operator,
    partner: str | None,
    *,
    cursor: str | None = None,
    limit: int = 100,
) -> Page[Pipe]:
    """The next pipes of a partner, or of all that the operator sees: failing ones, then by name.

    Raises NotFound, InvalidParameter (cursor).
    """
    partner_id = (await find_partner(database, operator, partner)).partner_id if partner else None
    after = decode_cursor(cursor, tuple[int, str, str]) if cursor else pipe_lists.FIRST
    rows = await pipe_lists.fetch_page(
        database, partner_id, within=operator.partner_ids, after=after, limit=limit + 1
    )
    return page(rows, limit, pipe_lists.position)


def pipe_version(pipe: Pipe) -> str:
    """The entity tag of what operators configure: it stays the same while the pipe runs."""
    return version(_configuration(pipe))


def _configuration(pipe: Pipe) -> tuple[str, datetime, int]:
    return pipe.name, pipe.created_at, pipe.config_version


async def get_pipe(database: Database, operator: Operator, partner: str, name: str) -> Pipe:
    """Raises NotFound."""
    owner = await find_partner(database, operator, partner)
    return await store.get(database, owner.partner_id, name)


async def set_pipe(
    database: Database,
    operator: Operator,
    secret_box: SecretBox,
    partner: str,
    name: str,
    *,
    url: str | None = None,
    credentials: Credentials | None = None,
    version: str | None = None,
    filter: Mapping[str, Any] | None = None,  # noqa: A002 - the name of the column
    options: Mapping[str, Any] | None = None,
    expected: Collection[str] | None = None,
) -> Pipe:
    """Changes a pipe; `filter` and `options` name what changes, None removes a member.

    With `since` or `start`, it begins there again, also with statements that were refused.
    `expected` are the entity tags of which the pipe must have one.

    Raises NotFound, InvalidParameter, PreconditionFailed, Forbidden, and Conflict for the import of
    a file.
    """
    operator.require("operator")
    async with open_transaction(database) as transaction:
        before = await _lock(transaction, operator, partner, name)
        require_version(_configuration(before), expected)
        require_endpoint(before)
        after = _configured(
            before, secret_box, url=url, credentials=credentials, version=version,
            filter=filter, options=options,
        )  # fmt: skip
        is_reset = not _RESTARTS.isdisjoint(options or {})
        await store.set_config(transaction, after, {} if is_reset else None)
        if is_reset:
            await statement_origins.forget_refused(transaction, after.partner_id, name)
        replaced = {} if credentials is None else {"credentials": "replaced"}
        await _record(
            transaction, operator, "pipe.set", after, described(before), described(after) | replaced
        )
        return await store.get(transaction, before.partner_id, name)


def _configured(
    before: Pipe,
    secret_box: SecretBox,
    *,
    url: str | None,
    credentials: Credentials | None,
    version: str | None,
    filter: Mapping[str, Any] | None,  # noqa: A002 - the name of the column
    options: Mapping[str, Any] | None,
) -> Pipe:
    """The pipe with what changes. Raises InvalidParameter."""
    chosen = rules.decode(rules.FILTERS[before.direction], _merged(before.filter, filter), "filter")
    selected = rules.decode(rules.OPTIONS[before.direction], _merged(before.options, options))
    rules.check_times(selected)
    encrypted = before.credentials_jwe
    if credentials is not None:
        credential_rules.check(credentials, before.direction, rules.encode(selected))
        encrypted = secret_box.encrypt(rules.encode_credentials(credentials))
    _check_version(version or before.version)
    return replace(
        before,
        url=rules.valid_url(url) if url is not None else before.url,
        credentials_jwe=encrypted,
        version=version or before.version,
        filter=rules.encode(chosen),
        options=rules.encode(selected),
    )


async def start_pipe(database: Database, operator: Operator, partner: str, name: str) -> Pipe:
    """Makes a pipe due at once, whatever its state is.

    Raises NotFound, Forbidden, and Conflict for the import of a file.
    """
    return await _set_state(database, operator, partner, name, "running")


async def pause_pipe(database: Database, operator: Operator, partner: str, name: str) -> Pipe:
    """The step that runs ends; no other one begins.

    Raises NotFound, Forbidden, and Conflict for the import of a file.
    """
    return await _set_state(database, operator, partner, name, "paused")


async def run_now(database: Database, operator: Operator, partner: str, name: str) -> Pipe:
    """Makes a started pipe due at once, whatever it waits for.

    Raises NotFound, Forbidden, and Conflict for a pipe that is not started.
    """
    operator.require("operator")
    async with open_transaction(database) as transaction:
        pipe = await _lock(transaction, operator, partner, name)
        require_endpoint(pipe)
        if not await pipe_lists.set_due(transaction, pipe.partner_id, name):
            raise Conflict(f"Pipe {name!r} is {pipe.state}: start it first.")
        await _record(transaction, operator, "pipe.run", pipe)
        return await store.get(transaction, pipe.partner_id, name)


async def remove_pipe(database: Database, operator: Operator, partner: str, name: str) -> None:
    """With its runs and dead letters; statements stay. Raises NotFound, Forbidden."""
    operator.require("operator")
    async with open_transaction(database) as transaction:
        pipe = await _lock(transaction, operator, partner, name)
        await store.remove(transaction, pipe.partner_id, name)
        await statement_origins.forget_refused(transaction, pipe.partner_id, name)
        await _record(transaction, operator, "pipe.remove", pipe, before=described(pipe))


async def list_runs(
    database: Database,
    operator: Operator,
    partner: str,
    name: str,
    limit: int = 100,
    *,
    before: tuple[datetime, UUID] | None = None,
) -> list[PipeRun]:
    """Newest first; `before` are start and id of the last run of the page before.

    Raises NotFound.
    """
    pipe = await get_pipe(database, operator, partner, name)
    return await store.list_runs(database, pipe.partner_id, name, limit, before=before)


def described(pipe: Pipe) -> dict[str, Any]:
    """What operators configure, without the credentials."""
    return {
        "direction": pipe.direction,
        "url": pipe.url,
        "version": pipe.version,
        "filter": pipe.filter,
        "options": pipe.options,
    }


def require_endpoint(pipe: Pipe) -> None:
    """Raises Conflict for the import of a file, which only `lrs import` runs."""
    if pipe.url.startswith("file:"):
        raise Conflict(f"Pipe {pipe.name!r} is the import of a file: run `lrs import` again.")


async def _set_state(
    database: Database, operator: Operator, partner: str, name: str, state: str
) -> Pipe:
    operator.require("operator")
    async with open_transaction(database) as transaction:
        pipe = await _lock(transaction, operator, partner, name)
        require_endpoint(pipe)
        await store.set_state(transaction, pipe.partner_id, name, state)
        action = "pipe.pause" if state == "paused" else "pipe.start"
        await _record(transaction, operator, action, pipe, {"state": pipe.state}, {"state": state})
        return await store.get(transaction, pipe.partner_id, name)


async def _lock(database: Database, operator: Operator, partner: str, name: str) -> Pipe:
    """The pipe, which no other operator changes until the transaction ends. Raises NotFound."""
    owner = await find_partner(database, operator, partner)
    await pipe_lists.lock(database, owner.partner_id, name)
    return await store.get(database, owner.partner_id, name)


async def _record(
    database: Database,
    operator: Operator,
    action: str,
    pipe: Pipe,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    await record(
        database,
        operator,
        action,
        f"pipe/{pipe.partner}/{pipe.name}",
        partner_id=pipe.partner_id,
        before=before,
        after=after,
    )


def _merged(old: Mapping[str, Any], changes: Mapping[str, Any] | None) -> dict[str, Any]:
    merged = {**old, **(changes or {})}
    return {name: value for name, value in merged.items() if value is not None}


def _check_version(version: str) -> None:
    if version not in VERSIONS:
        expected = f"expected one of {', '.join(VERSIONS)}"
        raise _invalid("version", f"{expected}, found {version[:80]!r}")


def _invalid(name: str, detail: str) -> InvalidParameter:
    return InvalidParameter(
        f"{name}: {detail}.", violations=[Violation(f"/{name}", detail, rules.SECTION)]
    )
