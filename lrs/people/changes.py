"""Changes of learners in reports: merge, detachment of an identifier, rename, deletion.

Statements stay as they are. Each change is one transaction under the partner's lock, and each has a
preview, which says how many events move or disappear.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from asyncpg import Record

from lrs import resources
from lrs.errors import Conflict, InvalidParameter
from lrs.people import learners
from lrs.people.learners import Learner
from lrs.projection import mail_case
from lrs.projection.event_batch import ProjectedStatement, extract_batch
from lrs.projection.event_writer import DELETED_LEARNER, write_batch
from lrs.projection.partner_lock import PartnerLock
from lrs.projection.partner_rules import load_rules
from lrs.projection.person_merge import fetch_pairs, merge_persons
from lrs.projection.recompute import Pair, recompute_all
from lrs.projection.vocabulary import Vocabulary
from lrs.reports.identifiers import Identifier
from lrs.store.postgres import Connection, retry_transaction, translate_errors
from lrs.store.statements.partner_keys import key_salt
from lrs.xapi.index_keys import mbox_sha1sum_identity

_COUNTS = resources.query("count_rows_of_person")
_COUNT_EVENTS = resources.query("count_events_of_identifiers")
_LINKED = resources.query("list_linked_identifiers")
_IDENTIFIERS = resources.query("list_identifiers_of_persons")
_INSERT_PERSON = resources.query("insert_person")
_ASSIGN = resources.query("assign_identifiers")
_CLEAR_EMAIL = resources.query("clear_person_email")
_REASSIGN_EVENTS = resources.query("reassign_events")
_RENAME = resources.query("rename_person")
_IS_USER = resources.query("is_user")
_DELETE = tuple(
    resources.query(name)
    for name in (
        "set_person_deleted",
        "clear_identifier_names",
        "delete_group_memberships_of_person",
        "delete_team_memberships_of_person",
        "delete_assignments_of_person",
        "clear_assignment_creator",
    )
)
_DELETE_EVENTS = resources.query("delete_events_of_person")
_RESTORE = resources.query("set_person_restored")
_STATEMENTS = resources.query("list_statements_of_actors")
_DELETE_WITHOUT_EVENT = resources.query("delete_statements_without_event")

_STATEMENTS_PER_PAGE = 5_000
_MAX_NAME = 255

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class LearnerChange:
    """What a change does, or would: the learners involved, and the rows that move or disappear.

    learner  whom the request names
    into     who has the rows afterwards: of a merge the target, of a detachment the new learner
             (None in a preview), else None
    """

    learner: Learner
    into: Learner | None = None
    identifiers: int = 0
    events: int = 0
    records: int = 0
    memberships: int = 0
    assignments: int = 0


async def merge(
    partner_lock: PartnerLock,
    partner_id: int,
    learner: Identifier,
    into: Identifier,
    *,
    preview: bool = False,
) -> LearnerChange:
    """Merge a learner into another one, who keeps the id.

    Raises NotFound, InvalidParameter for one and the same learner, and Unavailable.
    """

    async def run(connection: Connection) -> LearnerChange:
        source = await learners.find(connection, partner_id, learner)
        target = await learners.find(connection, partner_id, into)
        if source.user_id == target.user_id:
            raise InvalidParameter(f"{source.label} and {target.label} are one learner already.")
        change = await count_rows(connection, partner_id, source, target)
        if not preview:
            await merge_persons(connection, partner_id, {source.user_id: target.user_id})
        return change

    return await run_change(partner_lock, partner_id, run, preview=preview)


async def detach(
    partner_lock: PartnerLock,
    partner_id: int,
    learner: Identifier,
    identifier: Identifier,
    *,
    preview: bool = False,
) -> LearnerChange:
    """Give an identifier of a learner, with its events, to a new learner.

    A mail address includes its SHA-1 and its other spellings. Raises NotFound, InvalidParameter if
    the identifier is not the learner's or the only one of a learner without an operator's id, and
    Unavailable.
    """

    async def run(connection: Connection) -> LearnerChange:
        source = await learners.find(connection, partner_id, learner)
        rows = await connection.fetch(_LINKED, partner_id, identifier.keys, source.user_id)
        if not rows:
            raise InvalidParameter(
                f"{source.label} does not have the identifier {(identifier.text or '')[:80]!r}."
            )
        owned = await connection.fetch(_IDENTIFIERS, partner_id, [source.user_id])
        keys = _with_digests(rows, owned)
        if source.user is None and {row["agent_key"] for row in owned} <= set(keys):
            raise InvalidParameter(f"{source.label} has no other identifier.")
        counts = await connection.fetch(_COUNT_EVENTS, partner_id, [source.user_id], keys)
        events = sum(row["events"] for row in counts)
        target = None
        if not preview:
            addresses = [row["identity"][12:] for row in rows if row["identity"][:5] == "mbox "]
            target = await _detach(connection, partner_id, source, keys, addresses)
        return LearnerChange(source, target, identifiers=len(rows), events=events)

    return await run_change(partner_lock, partner_id, run, preview=preview)


def _with_digests(rows: list[Record], owned: list[Record]) -> list[int]:
    """The keys of the identifiers, and those of the learner's SHA-1 of their addresses."""
    digests = {
        mbox_sha1sum_identity(row["identity"])
        for row in rows
        if row["identity"].startswith("mbox ")
    }
    keys = [row["agent_key"] for row in rows]
    derived = [row["agent_key"] for row in owned if row["identity"] in digests]
    return list(dict.fromkeys([*keys, *derived]))


async def _detach(
    connection: Connection, partner_id: int, source: Learner, keys: list[int], addresses: list[str]
) -> Learner:
    email = addresses[0] if addresses else None
    person_id = await connection.fetchval(_INSERT_PERSON, partner_id, email)
    pairs = await fetch_pairs(connection, partner_id, {source.user_id})
    await connection.execute(_ASSIGN, partner_id, keys, person_id)
    await connection.execute(_REASSIGN_EVENTS, partner_id, [source.user_id], keys)
    if email:
        await connection.execute(_CLEAR_EMAIL, partner_id, source.user_id, email)
    moved = await fetch_pairs(connection, partner_id, {person_id})
    await recompute_all(connection, partner_id, [*pairs, *moved])
    return await learners.find(connection, partner_id, Identifier(None, (), person_id))


async def rename(
    partner_lock: PartnerLock,
    partner_id: int,
    learner: Identifier,
    *,
    user: str | None = None,
    first_name: str | None = None,
    last_name: str | None = None,
    preview: bool = False,
) -> LearnerChange:
    """Change the operator's id and the names of a learner; None keeps the present one.

    A learner whom no import matched becomes a user. Raises NotFound, InvalidParameter, Conflict if
    another learner has the id, and Unavailable.
    """
    names = {"user": user, "first_name": first_name, "last_name": last_name}
    _check_names(names)

    async def run(connection: Connection) -> LearnerChange:
        target = await learners.find(connection, partner_id, learner)
        is_new = user is not None and user != target.user
        if is_new and await connection.fetchval(_IS_USER, partner_id, user):
            raise Conflict(f"Another learner is the user {user!r}: merge the two.")
        if not preview:
            await connection.execute(
                _RENAME, partner_id, target.user_id, user, first_name, last_name
            )
            by_id = Identifier(None, (), target.user_id)
            target = await learners.find(connection, partner_id, by_id)
        return LearnerChange(target)

    return await run_change(partner_lock, partner_id, run, preview=preview)


def _check_names(names: dict[str, str | None]) -> None:
    if all(value is None for value in names.values()):
        raise InvalidParameter("Nothing is renamed: expected a user, first_name or last_name.")
    for name, value in names.items():
        if value is not None and not (
            value == value.strip() and value.isprintable() and 0 < len(value) <= _MAX_NAME
        ):
            raise InvalidParameter(
                f"{name}: expected 1 to {_MAX_NAME} printable characters without surrounding "
                f"blanks, found {value[:80]!r}."
            )


async def delete(
    partner_lock: PartnerLock, partner_id: int, learner: Identifier, *, preview: bool = False
) -> LearnerChange:
    """Delete a learner from the reports, also for later statements; the statements stay.

    Raises NotFound and Unavailable.
    """

    async def run(connection: Connection) -> LearnerChange:
        target = await learners.find(connection, partner_id, learner)
        change = await count_rows(connection, partner_id, target, None)
        if not preview:
            pairs = await fetch_pairs(connection, partner_id, {target.user_id})
            for query in _DELETE:
                await connection.execute(query, partner_id, target.user_id)
            await connection.execute(_DELETE_EVENTS, partner_id, target.user_id, DELETED_LEARNER)
            await recompute_all(connection, partner_id, pairs)
        return change

    return await run_change(partner_lock, partner_id, run, preview=preview)


async def restore(
    partner_lock: PartnerLock,
    partner_id: int,
    learner: Identifier,
    vocabulary: Vocabulary,
    *,
    preview: bool = False,
) -> LearnerChange:
    """Undo the deletion of a learner: events come back, what was imported does not.

    Raises NotFound if no deleted learner has this identifier, and Unavailable.
    """

    async def run(connection: Connection) -> LearnerChange:
        target = await learners.find(connection, partner_id, learner, include_deleted=True)
        if target.deleted_at is None:
            raise Conflict(f"{target.label} is not deleted.")
        if not preview:
            await connection.execute(_RESTORE, partner_id, target.user_id)
        events = await _project_again(
            connection, partner_id, target.user_id, vocabulary, preview=preview
        )
        return LearnerChange(target, events=events, identifiers=len(target.identifiers))

    return await run_change(partner_lock, partner_id, run, preview=preview)


async def _project_again(
    connection: Connection,
    partner_id: int,
    person_id: int,
    vocabulary: Vocabulary,
    *,
    preview: bool,
) -> int:
    """Extract the events of a person from the projected statements; return their number."""
    identifiers = await connection.fetch(_IDENTIFIERS, partner_id, [person_id])
    keys = [row["agent_key"] for row in identifiers]
    rules = await load_rules(connection, partner_id, vocabulary)
    pairs: list[Pair] = []
    position = events = 0
    while rows := await connection.fetch(
        _STATEMENTS, partner_id, keys, position, key_salt(partner_id), _STATEMENTS_PER_PAGE
    ):
        position = rows[-1]["sequence"]
        statements = [ProjectedStatement(*row) for row in rows]
        batch = extract_batch(statements, vocabulary, rules.time_zone)
        events += len(batch.events)
        if not preview:
            ids = [event.statement_id for event in batch.events]
            await connection.execute(_DELETE_WITHOUT_EVENT, partner_id, ids)
            pairs += await write_batch(connection, partner_id, batch, rules)
    await recompute_all(connection, partner_id, pairs)
    return events


async def count_rows(
    connection: Connection, partner_id: int, learner: Learner, into: Learner | None
) -> LearnerChange:
    """The change of everything that a learner has."""
    (row,) = await connection.fetch(_COUNTS, partner_id, learner.user_id)
    return LearnerChange(learner, into, identifiers=len(learner.identifiers), **row)


async def run_change(
    partner_lock: PartnerLock,
    partner_id: int,
    run: Callable[[Connection], Awaitable[Result]],
    *,
    preview: bool,
) -> Result:
    """Runs a change in a transaction under the lock of the partner, or a preview in a snapshot."""

    async def attempt() -> Result:
        async with _transaction(partner_lock, partner_id, preview=preview) as connection:
            return await run(connection)

    with translate_errors():
        return await retry_transaction(attempt)


@asynccontextmanager
async def _transaction(
    partner_lock: PartnerLock, partner_id: int, *, preview: bool
) -> AsyncIterator[Connection]:
    if preview:
        async with partner_lock.snapshot(partner_id) as connection:
            yield connection
    else:
        async with partner_lock.transaction(partner_id) as connection:
            await mail_case.apply_setting(connection, partner_id)
            yield connection
