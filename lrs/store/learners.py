"""Learners as operators look them up: by a part of a name or identifier, or by an agent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from lrs import resources
from lrs.errors import NotFound
from lrs.store.postgres import Database, translate_errors
from lrs.store.registry import like_pattern
from lrs.store.statements.partner_keys import key_salt
from lrs.xapi.index_keys import VOIDED_KEY

MAX_IDENTIFIERS = 200

_LISTED_IDENTIFIERS = 5

_SEARCH = resources.query("search_learners")
_BY_AGENT = resources.query("find_learner_by_agent")
_PAGE = resources.query("list_learner_page")
_DELETED = resources.query("list_deleted_learners")
_GET = resources.query("get_learner")
_IDENTIFIERS = resources.query("list_learner_identifiers")
_STATEMENTS = resources.query("list_learner_statements")


@dataclass(frozen=True, slots=True)
class Learner:
    """`external_id` is the operator's id of an imported learner."""

    person_id: int
    external_id: str | None
    name: str | None
    email: str | None


@dataclass(frozen=True, slots=True)
class DeletedLearner:
    """A learner that is in no report; `identities` are the first identifiers."""

    person_id: int
    deleted_at: datetime
    identities: list[str]


@dataclass(frozen=True, slots=True)
class LearnerIdentifier:
    """`identity` is the kind and value of an identifier, such as `mbox mailto:jo@example.com`."""

    identity: str
    name: str | None
    imported: bool


@dataclass(frozen=True, slots=True)
class LearnerStatement:
    """A statement with a learner as actor; `payload` is its JSON text."""

    sequence: int
    stored: datetime
    organization: str | None
    payload: str
    voided: bool


async def search(
    database: Database, partner_id: int, text: str, *, after: int, limit: int
) -> list[Learner]:
    """The next learners by id; an empty text finds all."""
    with translate_errors():
        if text:
            pattern = like_pattern(text.lower())
            rows = await database.readers.fetch(_SEARCH, partner_id, pattern, after, limit)
        else:
            rows = await database.readers.fetch(_PAGE, partner_id, after, limit)
    return [Learner(**row) for row in rows]


async def find_by_agent(
    database: Database, partner_id: int, agent_keys: Sequence[int]
) -> list[Learner]:
    """The learner with the first of the agent keys that one has; empty without one."""
    with translate_errors():
        rows = await database.readers.fetch(_BY_AGENT, partner_id, agent_keys)
    return [Learner(**row) for row in rows]


async def list_deleted(
    database: Database, partner_id: int, *, after: int, limit: int
) -> list[DeletedLearner]:
    """The next deleted learners by id."""
    with translate_errors():
        rows = await database.readers.fetch(_DELETED, partner_id, after, limit, _LISTED_IDENTIFIERS)
    return [DeletedLearner(**row) for row in rows]


async def get(database: Database, partner_id: int, person_id: int) -> Learner:
    """Raises NotFound."""
    with translate_errors():
        row = await database.readers.fetchrow(_GET, partner_id, person_id)
    if row is None:
        raise NotFound(f"Learner {person_id} not found.")
    return Learner(**row)


async def list_identifiers(
    database: Database, partner_id: int, person_id: int
) -> list[LearnerIdentifier]:
    """At most MAX_IDENTIFIERS."""
    with translate_errors():
        rows = await database.readers.fetch(_IDENTIFIERS, partner_id, person_id, MAX_IDENTIFIERS)
    return [LearnerIdentifier(**row) for row in rows]


async def list_statements(
    database: Database, partner_id: int, person_id: int, *, before: int, limit: int
) -> list[LearnerStatement]:
    """The statements before a sequence with any identifier of the learner as actor."""
    salt = key_salt(partner_id)
    with translate_errors():
        rows = await database.readers.fetch(
            _STATEMENTS, partner_id, person_id, salt, before, VOIDED_KEY ^ salt, limit
        )
    return [LearnerStatement(**row) for row in rows]
