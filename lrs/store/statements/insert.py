"""Statements: writing a set of them, and reading one.

Rows are written once and never changed. Whether a statement is voided, and what it inherits from
the statement it refers to, follow from other rows, so that statements may arrive in any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import msgspec
from asyncpg import UniqueViolationError

from lrs import resources
from lrs.store.batching import Together
from lrs.store.postgres import Connection, Database, errors_translated
from lrs.store.statements.definitions import News
from lrs.store.statements.partner_keys import salt
from lrs.xapi.canvas_callbacks import PageView
from lrs.xapi.definitions import identity_hash
from lrs.xapi.index_keys import VOIDED_KEY
from lrs.xapi.signatures import Signature

_GIVEN, _INSERT, _INSERT_ONE, _INSERT_ALL, _TELL, _INSERTED = (
    resources.sql_file(f"statements/{name}")
    for name in ("given", "insert", "insert_one", "insert_all", "tell", "inserted")
)
SEVERAL = f"{_GIVEN}{_INSERT}"
ONE = f"{_INSERT_ONE}{_INSERTED}"
ONE_TELLING = f"{_INSERT_ONE}, {_TELL}{_INSERTED}"
ALL_TELLING = f"{_GIVEN}{_INSERT_ALL}, {_TELL}{_INSERTED}"
_STORED_DIGESTS = resources.query("list_stored_digests")
_BY_ID = resources.query("get_statements")

# Bytes of stored statements that are read to say in what others differ from them.
_MOST_COMPARED = 8_388_608


class Prepared(msgspec.Struct, frozen=True, gc=False):
    """A statement that has been checked and completed, all but the time of storing.

    `body` is its JSON text, still open at the end for what only the store knows: `stored`, and
    `timestamp` too unless `timed`. `actor_key` and `object_key` are those of an identified actor
    without members and of an activity; `links`, pairs of key and roles, are all else it speaks of.
    `target` is the id of the statement it refers to, which it `voids` or not.

    Beside it stands what it tells and brings: definitions of activities as JSON, names of agents by
    identity, contents of attachments by SHA-2, what was found of its signatures, and the page view
    that it stands for.
    """

    statement_id: str
    digest: bytes
    verb_key: int
    authority_key: int
    actor_key: int | None
    object_key: int | None
    organization: str | None
    timed: bool
    body: str
    links: tuple[tuple[int, int], ...]
    target: str | None
    voids: bool
    definitions: Sequence[tuple[str, bytes]] = ()
    names: Sequence[tuple[str, str]] = ()
    contents: tuple[tuple[str, bytes], ...] = ()
    signatures: tuple[Signature, ...] = ()
    page_view: PageView | None = None

    @property
    def text(self) -> str:
        """Its JSON text without what only the store knows."""
        return self.body.rstrip(",") + "}"


@dataclass(frozen=True, slots=True)
class Known:
    """What is stored under a known id.

    `payload` only if its digest is not the one asked for, and there are not many of them.
    """

    digest: bytes
    payload: str | None


@dataclass(frozen=True, slots=True)
class Inserted:
    """The ids that were new, and those of them that stored statements already refer to."""

    ids: frozenset[str]
    referred: frozenset[str]


class Single(msgspec.Struct, frozen=True, gc=False):
    payload: bytes
    stored: datetime
    organization: str | None
    authority_key: int
    voided: bool


async def insert(connection: Connection, partner_id: int, prepared: Sequence[Prepared]) -> Inserted:
    """Stores those whose ids are new. The ids given must differ from each other."""
    referring = [each for each in prepared if each.target is not None]
    (row,) = await connection.fetch(
        SEVERAL,
        partner_id,
        *_columns(partner_id, prepared),
        [each.statement_id for each in referring],
        [each.target for each in referring],
        [each.voids for each in referring],
    )
    stored, ids, referred = row
    if stored == len(prepared):
        ids = [each.statement_id for each in prepared]
    return Inserted(frozenset(ids or ()), frozenset(referred or ()))


async def insert_one(
    connection: Connection, partner_id: int, each: Prepared, news: News
) -> Inserted:
    """Stores one, and what it tells, if its id is new. It may not refer to another statement."""
    *values, keys, roles, _ = _columns(partner_id, [each])
    (row,) = await connection.fetch(
        ONE_TELLING if news else ONE,
        partner_id,
        *(value for (value,) in values),
        keys,
        roles,
        *(_told(1, news) if news else ()),
    )
    stored, referred = row
    return Inserted(frozenset((each.statement_id,) if stored else ()), frozenset(referred or ()))


async def insert_all(
    connection: Connection, partner_id: int, prepared: Sequence[Prepared], news: News
) -> Inserted | None:
    """Stores them and what they tell if all ids are new; else returns None, and stores nothing.

    The ids given must differ from each other, and no statement may refer to another one. In a
    transaction only without statements, since a unique violation would end that.
    """
    *columns, linked = _columns(partner_id, prepared)
    try:
        (row,) = await connection.fetch(
            ALL_TELLING,
            partner_id,
            *columns,
            *_told(len(prepared), news),
            linked,
        )
    except UniqueViolationError:
        return None
    stored, referred = row
    if stored < len(prepared):
        return None
    return Inserted(frozenset(each.statement_id for each in prepared), frozenset(referred or ()))


def _columns(partner_id: int, prepared: Sequence[Prepared]) -> tuple[Sequence[object], ...]:
    """The arrays that sql/statements/given.sql takes, and those of the links."""
    own = salt(partner_id)
    linked = [
        (each.statement_id, key ^ own, roles) for each in prepared for key, roles in each.links
    ]
    return (
        [each.statement_id for each in prepared],
        [each.verb_key ^ own for each in prepared],
        [each.authority_key ^ own for each in prepared],
        [None if each.actor_key is None else each.actor_key ^ own for each in prepared],
        [None if each.object_key is None else each.object_key ^ own for each in prepared],
        [each.organization for each in prepared],
        [each.digest for each in prepared],
        [each.timed for each in prepared],
        [each.body for each in prepared],
        [key for _, key, _ in linked],
        [roles for _, _, roles in linked],
        [statement_id for statement_id, _, _ in linked],
    )


def _told(given: int, news: News) -> tuple[object, ...]:
    """What sql/statements/tell.sql takes."""
    return (
        given,
        [identity_hash(activity) for activity in news.definitions],
        list(news.definitions),
        [text.decode() for text in news.definitions.values()],
        [identity_hash(identity) for identity, _ in news.names],
        [identity_hash(name) for _, name in news.names],
        [name for _, name in news.names],
    )


async def stored_digests(
    connection: Connection, partner_id: int, prepared: Sequence[Prepared]
) -> dict[tuple[str, bytes], Known]:
    """What is stored under the ids of those given, by the id and digest asked for."""
    rows = await connection.fetch(
        _STORED_DIGESTS,
        partner_id,
        [each.statement_id for each in prepared],
        [each.digest for each in prepared],
        _MOST_COMPARED,
    )
    return {
        (str(row["statement_id"]), row["digest"]): Known(row["stored_digest"], row["payload"])
        for row in rows
    }


class Lookups:
    """Statements by id; those of one partner that are asked for at the same time share a query."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._partners: dict[int, Together[str, Single | None]] = {}

    async def one(self, partner_id: int, statement_id: str) -> Single | None:
        partner = self._partners.get(partner_id)
        if partner is None:
            partner = self._partners[partner_id] = Together(partial(self._several, partner_id))
        return await partner.answer(statement_id.lower())

    async def _several(self, partner_id: int, asked: Sequence[str]) -> list[Single | None]:
        own = salt(partner_id)
        with errors_translated():
            rows = await self._database.lists.fetch(
                _BY_ID, partner_id, asked, VOIDED_KEY ^ own, own
            )
        found = {statement_id: Single(*rest) for statement_id, *rest in rows}
        return [found.get(statement_id) for statement_id in asked]


async def preview(
    database: Database, partner_id: int, prepared: Sequence[Prepared]
) -> list[Known | None]:
    """The verdicts that storing these would bring, without storing any."""
    with errors_translated():
        stored = await stored_digests(database.readers, partner_id, prepared)
    firsts: dict[str, Prepared] = {}
    verdicts: list[Known | None] = []
    for each in prepared:
        known = stored.get((each.statement_id, each.digest))
        first = firsts.setdefault(each.statement_id, each)
        if known is None and first is not each:
            known = Known(first.digest, first.text)
        verdicts.append(known)
    return verdicts
