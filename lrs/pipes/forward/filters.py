"""Filters of forwarded statements by the type of their activity and the home page of their actor.

They are read in the statements; all others are index keys (`lrs.store.statements.log_page`). As in
lists (xAPI 1.0.3 Communication 2.1.3), a statement that refers to another one matches if that one
does: so a statement is never forwarded without its voiding.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from lrs.pipes.options import ForwardFilter
from lrs.store.postgres import Database
from lrs.store.statements import definitions
from lrs.store.statements.log_page import LogFilter, LoggedStatement
from lrs.store.statements.lookup import StatementLoader
from lrs.xapi import index_keys
from lrs.xapi.index_keys import statement_ref

Json = dict[str, Any]

_MAX_DEFINITION_BYTES = 8_388_608
_MAX_REFERENCES = 10
"""Length of a chain of references that is followed."""


def log_filter(chosen: ForwardFilter, home_page: str) -> LogFilter:
    """The part of a filter that the log applies; `home_page` is that of the partner."""
    return LogFilter(
        chosen.verb,
        chosen.activity,
        chosen.related_activities,
        chosen.organization,
        chosen.registration,
        [_authority_key(name, home_page) for name in chosen.not_from],
    )


def _authority_key(name: str, home_page: str) -> int:
    """The index key of the authority of a credential, or of a pipe."""
    key = index_keys.agent_key({"account": {"homePage": home_page, "name": name}})
    assert key is not None  # noqa: S101 - the authority has an account
    return key


async def matching(
    database: Database,
    partner_id: int,
    chosen: ForwardFilter,
    statements: Sequence[LoggedStatement],
) -> list[LoggedStatement]:
    """The statements that match by type and home page. Raises Unavailable."""
    if not chosen.type and not chosen.actor_home_page:
        return list(statements)
    loader = StatementLoader(database)
    parsed = [
        await _target(loader, partner_id, orjson.loads(statement.text)) for statement in statements
    ]
    types = await _stored_types(database, partner_id, parsed) if chosen.type else {}
    return [
        statement
        for statement, value in zip(statements, parsed, strict=True)
        if value is not None and _matches(value, chosen, types)
    ]


async def _target(loader: StatementLoader, partner_id: int, statement: Json) -> Json | None:
    """The statement that a chain of references ends at; None if it is not stored."""
    for _ in range(_MAX_REFERENCES):
        reference = statement_ref(statement)
        if reference is None:
            return statement
        stored = await loader.load(partner_id, reference)
        if stored is None:
            return None
        statement = orjson.loads(stored.payload)
    return None


async def _stored_types(
    database: Database, partner_id: int, statements: Iterable[Json | None]
) -> dict[str, str | None]:
    """The types in the stored definitions of objects that have none in their statement."""
    activities = {
        statement["object"]["id"]
        for statement in statements
        if statement and _is_activity(statement) and _own_type(statement) is None
    }
    stored = await definitions.definitions(
        database, partner_id, sorted(activities), _MAX_DEFINITION_BYTES
    )
    return {activity: (definition or {}).get("type") for activity, definition in stored.items()}


def _matches(statement: Json, chosen: ForwardFilter, types: dict[str, str | None]) -> bool:
    if chosen.actor_home_page and not _home_pages(statement["actor"]) & set(chosen.actor_home_page):
        return False
    if not chosen.type:
        return True
    if not _is_activity(statement):
        return False
    return (_own_type(statement) or types.get(statement["object"]["id"])) in chosen.type


def _home_pages(actor: Json) -> set[str]:
    agents = [actor, *actor.get("member", ())]
    return {agent["account"]["homePage"] for agent in agents if "account" in agent}


def _is_activity(statement: Json) -> bool:
    return bool(statement["object"].get("objectType", "Activity") == "Activity")


def _own_type(statement: Json) -> str | None:
    kind = statement["object"].get("definition", {}).get("type")
    return None if kind is None else str(kind)
