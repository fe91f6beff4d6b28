"""Use cases for dead letters of pipes: list, show, send again as they were or corrected, drop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import orjson

from lrs.admin.learners import visible_statement
from lrs.admin.masking import Masking
from lrs.admin.partners import find_partner
from lrs.admin.pipes import get_pipe
from lrs.auth.operators import Operator, record
from lrs.errors import Conflict
from lrs.pipes.forward.corrections import corrected_text
from lrs.store import dead_letters, pipe_lists
from lrs.store import pipes as store
from lrs.store.dead_letters import DeadLetter
from lrs.store.pipes import Pipe
from lrs.store.postgres import Database, open_transaction
from lrs.store.statements.lookup import StatementLoader

_MAX_AUDITED_IDS = 20


@dataclass(frozen=True, slots=True)
class LetterView:
    """A dead letter in a list. `is_queued`: it will be sent again."""

    statement_id: str
    created_at: datetime | None
    reason: str
    status: int | None
    url: str
    attempts: int
    is_queued: bool
    has_own_text: bool


@dataclass(frozen=True, slots=True)
class LetterDetail(LetterView):
    """A dead letter with the text that was sent, the first 4 KiB of the answer, the statement.

    `request` is what was sent instead of the statement as it is stored. None: the statement, which
    is None if it is erased. Viewers see neither `request` nor `response`, and pseudonyms.
    """

    request: str | None
    response: str | None
    statement: msgspec.Raw | None


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


async def get_letter(
    database: Database,
    operator: Operator,
    masking: Masking,
    loader: StatementLoader,
    partner: str,
    name: str,
    statement_id: UUID,
) -> LetterDetail:
    """A dead letter with its statement; recorded as a view of a learner. Raises NotFound."""
    pipe = await get_pipe(database, operator, partner, name)
    letter = await dead_letters.get_letter(database, pipe.partner_id, name, statement_id)
    stored = await loader.load(pipe.partner_id, str(statement_id))
    await _record(database, operator, "letter.view", pipe, statement_id)
    may_see = operator.may("operator")
    statement = stored.payload if stored else None
    if statement is not None and not may_see:
        masked = visible_statement(operator, masking, pipe.partner_id, orjson.loads(statement))
        statement = orjson.dumps(masked)
    return LetterDetail(
        **_members(letter),
        request=letter.request if may_see else None,
        response=letter.response if may_see else None,
        statement=None if statement is None else msgspec.Raw(statement),
    )


def letter_view(letter: DeadLetter) -> LetterView:
    return LetterView(**_members(letter))


async def retry_letters(
    database: Database,
    operator: Operator,
    partner: str,
    name: str,
    ids: Sequence[UUID] | None,
) -> int:
    """Sends dead letters again, or all with None. Raises NotFound, Forbidden."""
    return await _change_letters(
        database, operator, partner, name, ids, "pipe.retry", dead_letters.retry_letters
    )


async def correct_letter(
    database: Database,
    operator: Operator,
    partner: str,
    name: str,
    statement_id: UUID,
    body: bytes,
    max_bytes: int,
) -> None:
    """Sends a dead letter again, with a corrected body. The stored statement stays as it is.

    Raises NotFound, Forbidden, Conflict while the dead letter is being sent, and the errors of
    `corrected_text`.
    """
    operator.require("operator")
    owner = await find_partner(database, operator, partner)
    async with open_transaction(database) as transaction:
        await pipe_lists.lock(transaction, owner.partner_id, name)
        pipe = await store.get(transaction, owner.partner_id, name)
        letter = await dead_letters.get_letter(transaction, owner.partner_id, name, statement_id)
        is_track_event = pipe.options.get("target") == "track"
        text = corrected_text(
            body, statement_id, is_track_event=is_track_event, max_bytes=max_bytes
        )
        if letter.retry and pipe.is_leased:
            raise Conflict("The dead letter is being sent now: wait for the answer of the target.")
        await dead_letters.correct_letter(transaction, pipe.partner_id, name, statement_id, text)
        await _record(transaction, operator, "letter.correct", pipe, statement_id)


async def drop_letters(
    database: Database,
    operator: Operator,
    partner: str,
    name: str,
    ids: Sequence[UUID] | None,
) -> int:
    """Deletes dead letters, or all with None. Raises NotFound, Forbidden."""
    return await _change_letters(
        database, operator, partner, name, ids, "pipe.drop", dead_letters.drop_letters
    )


async def _change_letters(
    database: Database,
    operator: Operator,
    partner: str,
    name: str,
    ids: Sequence[UUID] | None,
    action: str,
    change: Callable[[Database, int, str, Sequence[UUID] | None], Awaitable[int]],
) -> int:
    """Changes dead letters, or all with None, with an audit entry; returns their number."""
    operator.require("operator")
    pipe = await get_pipe(database, operator, partner, name)
    async with open_transaction(database) as transaction:
        count = await change(transaction, pipe.partner_id, name, ids)
        await _record(transaction, operator, action, pipe, after=_change(count, ids))
    return count


def _change(count: int, ids: Sequence[UUID] | None) -> dict[str, Any]:
    """For an audit entry: how many dead letters, and which, if an operator named a few."""
    named = {} if ids is None else {"ids": [str(item) for item in ids[:_MAX_AUDITED_IDS]]}
    return {"letters": count, **named}


async def _record(
    database: Database,
    operator: Operator,
    action: str,
    pipe: Pipe,
    statement_id: UUID | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    letter = "" if statement_id is None else f"/letters/{statement_id}"
    await record(
        database,
        operator,
        action,
        f"pipe/{pipe.partner}/{pipe.name}{letter}",
        partner_id=pipe.partner_id,
        after=after,
    )


def _members(letter: DeadLetter) -> dict[str, Any]:
    return {
        "statement_id": str(letter.statement_id),
        "created_at": letter.created_at,
        "reason": letter.reason,
        "status": letter.status,
        "url": letter.url,
        "attempts": letter.attempts,
        "is_queued": letter.retry,
        "has_own_text": letter.request is not None,
    }
