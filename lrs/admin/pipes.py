"""Use cases for pipes: add, list, change, start, pause, remove; their runs and dead letters."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from lrs.admin.partners import find_partner
from lrs.auth.operators import Operator, record
from lrs.auth.secret_box import SecretBox
from lrs.errors import InvalidParameter
from lrs.pipes import options as rules
from lrs.pipes import webhook
from lrs.pipes.options import Credentials, OAuth2, Signed
from lrs.store import dead_letters, statement_origins
from lrs.store import pipes as store
from lrs.store.dead_letters import DeadLetter
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
    if not _NAME.fullmatch(new.name):
        raise InvalidParameter(
            "name: expected 1 to 64 letters, digits, dots, hyphens and underscores."
        )
    _check_version(new.version)
    _check_credentials(new.credentials, new.direction)
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
) -> Pipe:
    """Changes a pipe; `filter` and `options` name what changes, None removes a member.

    With `since` or `start`, it begins there again, also with statements that were refused.

    Raises NotFound, InvalidParameter, Forbidden.
    """
    operator.require("operator")
    before = await get_pipe(database, operator, partner, name)
    chosen = rules.decode(rules.FILTERS[before.direction], _merged(before.filter, filter), "filter")
    selected = rules.decode(rules.OPTIONS[before.direction], _merged(before.options, options))
    rules.check_times(selected)
    encrypted = before.credentials_jwe
    if credentials is not None:
        _check_credentials(credentials, before.direction)
        encrypted = secret_box.encrypt(rules.encode_credentials(credentials))
    _check_version(version or before.version)
    after = replace(
        before,
        url=rules.valid_url(url) if url else before.url,
        credentials_jwe=encrypted,
        version=version or before.version,
        filter=rules.encode(chosen),
        options=rules.encode(selected),
    )
    async with open_transaction(database) as transaction:
        is_reset = not _RESTARTS.isdisjoint(options or {})
        await store.set_config(transaction, after, {} if is_reset else None)
        if is_reset:
            await statement_origins.forget_refused(transaction, after.partner_id, name)
        await _record(transaction, operator, "pipe.set", after, described(before), described(after))
    return await store.get(database, before.partner_id, name)


async def start_pipe(database: Database, operator: Operator, partner: str, name: str) -> Pipe:
    """Makes a pipe due at once, whatever its state is. Raises NotFound, Forbidden."""
    return await _set_state(database, operator, partner, name, "running")


async def pause_pipe(database: Database, operator: Operator, partner: str, name: str) -> Pipe:
    """The step that runs ends; no other one begins. Raises NotFound, Forbidden."""
    return await _set_state(database, operator, partner, name, "paused")


async def remove_pipe(database: Database, operator: Operator, partner: str, name: str) -> None:
    """With its runs and dead letters; statements stay. Raises NotFound, Forbidden."""
    operator.require("operator")
    pipe = await get_pipe(database, operator, partner, name)
    async with open_transaction(database) as transaction:
        await store.remove(transaction, pipe.partner_id, name)
        await statement_origins.forget_refused(transaction, pipe.partner_id, name)
        await _record(transaction, operator, "pipe.remove", pipe, before=described(pipe))


async def list_runs(
    database: Database, operator: Operator, partner: str, name: str, limit: int = 100
) -> list[PipeRun]:
    """The last runs, newest first. Raises NotFound."""
    pipe = await get_pipe(database, operator, partner, name)
    return await store.list_runs(database, pipe.partner_id, name, limit)


async def list_letters(
    database: Database,
    operator: Operator,
    partner: str,
    name: str,
    *,
    after: UUID | None = None,
    limit: int = 100,
) -> list[DeadLetter]:
    """A page of dead letters in the order of their ids. Raises NotFound."""
    pipe = await get_pipe(database, operator, partner, name)
    return await dead_letters.list_letters(
        database, pipe.partner_id, name, after=after, limit=limit
    )


async def retry_letters(
    database: Database,
    operator: Operator,
    partner: str,
    name: str,
    ids: Sequence[UUID] | None,
) -> int:
    """Sends dead letters again, or all with None. Raises NotFound, Forbidden."""
    operator.require("operator")
    pipe = await get_pipe(database, operator, partner, name)
    async with open_transaction(database) as transaction:
        count = await dead_letters.retry_letters(transaction, pipe.partner_id, name, ids)
        await _record(transaction, operator, "pipe.retry", pipe, after={"letters": count})
    return count


async def drop_letters(
    database: Database,
    operator: Operator,
    partner: str,
    name: str,
    ids: Sequence[UUID] | None,
) -> int:
    """Deletes dead letters, or all with None. Raises NotFound, Forbidden."""
    operator.require("operator")
    pipe = await get_pipe(database, operator, partner, name)
    async with open_transaction(database) as transaction:
        count = await dead_letters.drop_letters(transaction, pipe.partner_id, name, ids)
        await _record(transaction, operator, "pipe.drop", pipe, after={"letters": count})
    return count


def described(pipe: Pipe) -> dict[str, Any]:
    """What operators configure, without the credentials."""
    return {
        "direction": pipe.direction,
        "url": pipe.url,
        "version": pipe.version,
        "filter": pipe.filter,
        "options": pipe.options,
    }


async def _set_state(
    database: Database, operator: Operator, partner: str, name: str, state: str
) -> Pipe:
    operator.require("operator")
    pipe = await get_pipe(database, operator, partner, name)
    async with open_transaction(database) as transaction:
        await store.set_state(transaction, pipe.partner_id, name, state)
        action = "pipe.pause" if state == "paused" else "pipe.start"
        await _record(transaction, operator, action, pipe, {"state": pipe.state}, {"state": state})
    return await store.get(database, pipe.partner_id, name)


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
        raise InvalidParameter(f"version: expected one of {', '.join(VERSIONS)}.")


def _check_credentials(credentials: Credentials, direction: str) -> None:
    if isinstance(credentials, OAuth2):
        rules.valid_url(credentials.token_url, "token URL")
    if isinstance(credentials, Signed):
        if direction == "pull":
            raise InvalidParameter("credentials: a signing secret is for webhooks only.")
        webhook.secret_key(credentials.secret)
