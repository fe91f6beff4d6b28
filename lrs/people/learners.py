"""Learners: look-up and list, with their identifiers."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from asyncpg import Record

from lrs import resources
from lrs.errors import NotFound
from lrs.reports.identifiers import Identifier
from lrs.store.postgres import Connection, Pool, translate_errors
from lrs.xapi import index_keys

_FIND = resources.query("find_learner")
_PAGE = resources.query("list_learners")
_IDENTIFIERS = resources.query("list_identifiers_of_persons")

_ACCOUNT = re.compile(r"account (\S+) (.*)", re.DOTALL)


class LearnerIdentifier(NamedTuple):
    """An identifier as in an import: its kind, value and, of an account, home page."""

    kind: str
    value: str
    home_page: str | None
    imported: bool


@dataclass(frozen=True, slots=True)
class Learner:
    """A learner; `user` is the operator's id, None for one whom no import matched."""

    user_id: int
    user: str | None
    name: str | None
    email: str | None
    deleted_at: datetime | None
    records: int | None = None
    last_activity_at: datetime | None = None
    identifiers: tuple[LearnerIdentifier, ...] = ()

    @property
    def label(self) -> str:
        """How messages name the learner: by the operator's id, else by the id in reports."""
        return self.user if self.user is not None else f"id:{self.user_id}"


async def find(
    connection: Connection | Pool,
    partner_id: int,
    identifier: Identifier,
    *,
    include_deleted: bool = False,
) -> Learner:
    """The learner with this identifier. Raises NotFound."""
    row = await connection.fetchrow(
        _FIND, partner_id, identifier.text, identifier.keys, identifier.number, include_deleted
    )
    if row is None:
        raise NotFound("Learner not found.")
    (learner,) = await _with_identifiers(connection, partner_id, [Learner(**row)])
    return learner


async def fetch_page(
    pool: Pool,
    partner_id: int,
    *,
    after: int,
    limit: int,
    imported: bool | None = None,
    deleted: bool = False,
) -> list[Learner]:
    """The next learners with ids above `after`, in the order of ids. Raises Unavailable.

    `imported` filters for users or for learners whom no import matched.
    """
    with translate_errors():
        rows = await pool.fetch(_PAGE, partner_id, after, imported, deleted, limit)
        return await _with_identifiers(pool, partner_id, [Learner(**row) for row in rows])


async def _with_identifiers(
    connection: Connection | Pool, partner_id: int, learners: list[Learner]
) -> list[Learner]:
    ids = [learner.user_id for learner in learners]
    rows: defaultdict[int, list[Record]] = defaultdict(list)
    for row in await connection.fetch(_IDENTIFIERS, partner_id, ids):
        rows[row["person_id"]].append(row)
    return [
        replace(learner, identifiers=tuple(_identifiers(rows[learner.user_id])))
        for learner in learners
    ]


def _identifiers(rows: Iterable[Record]) -> list[LearnerIdentifier]:
    """The identifiers without the SHA-1 of addresses, which follow from these."""
    rows = list(rows)
    derived = {
        index_keys.mbox_sha1sum_identity(row["identity"])
        for row in rows
        if row["identity"].startswith("mbox ")
    }
    return [
        _identifier(row["identity"], row["imported"])
        for row in rows
        if row["imported"] or row["identity"] not in derived
    ]


def _identifier(identity: str, imported: bool) -> LearnerIdentifier:
    if match := _ACCOUNT.fullmatch(identity):
        return LearnerIdentifier("account", match[2], match[1], imported)
    kind, _, value = identity.partition(" ")
    return LearnerIdentifier(kind, value.removeprefix("mailto:"), None, imported)
