"""Prepares a valid statement for its insert: sets what the LRS sets, computes digest and keys.

Only `stored`, and a missing `timestamp`, are set by the insert.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from typing import Any
from uuid import uuid4

import orjson

from lrs.ingest.model import IngestContext, ParsedItem, PreparedItem
from lrs.store.intake import SOURCES
from lrs.store.statements.insert import StatementRow
from lrs.xapi import definitions, equality, index_keys, stored_numbers, strict_json
from lrs.xapi.index_keys import EntityReference
from lrs.xapi.statement import derived_uuid

DEFAULT_VERSIONS = {"1.0.3": "1.0.0", "2.0.0": "2.0.0"}
"""The `version` of a statement received without one (xAPI 1.0.3 Data 2.4.10)."""

_SET_BY_LRS = frozenset({"stored", "authority"})


def prepare(item: ParsedItem, context: IngestContext, derived_ids: Counter[str]) -> PreparedItem:
    """The item as a row, with id, authority, version, digest and index keys.

    `derived_ids` counts the ids that were derived for earlier items of the request.
    """
    statement_id = item.statement_id or _statement_id(
        item.statement, item.organization, derived_ids
    )
    return PreparedItem(_row(item, statement_id, context), statement_id, "id" in item.statement)


def _row(item: ParsedItem, statement_id: str, context: IngestContext) -> StatementRow:
    statement = item.statement
    verb = statement["verb"]["id"]
    target = index_keys.statement_ref(statement)
    references = index_keys.entity_references(statement)
    keys = index_keys.statement_keys(statement, references)
    return StatementRow(
        statement_id=statement_id.lower(),
        digest=equality.digest(statement),
        verb_key=index_keys.verb_key(verb),
        authority_key=context.authority_key,
        actor_key=keys.actor,
        object_key=keys.object,
        organization=item.organization,
        has_timestamp="timestamp" in statement,
        body=_body(item, statement_id, context),
        index_entries=tuple(keys.entries.items()),
        target_id=target and target.lower(),
        voids=target is not None and verb == index_keys.VOIDED,
        definitions=_definitions(references, item.text) if context.defines else (),
        names=_names(references, context) if context.defines else (),
        contents=item.contents,
        signatures=item.signatures,
        page_view=item.page_view,
        source=SOURCES[context.source],
        fallback_id=item.fallback_id,
    )


def _definitions(
    references: list[EntityReference], text: bytes
) -> list[tuple[str, tuple[bytes, ...]]]:
    """The definitions in a statement with this text, by activity, as texts for the store."""
    texts: list[tuple[str, tuple[bytes, ...]]] = []
    for activity, values in definitions.activity_definitions(references).items():
        written = tuple(map(orjson.dumps, values))
        if not all(map(stored_numbers.is_stored_as_is, values, written)):
            return _exact_definitions(text)
        texts.append((activity, written))
    return texts


def _exact_definitions(text: bytes) -> list[tuple[str, tuple[bytes, ...]]]:
    references = index_keys.entity_references(strict_json.loads_exact(text))
    return [
        (activity, tuple(map(stored_numbers.dump, values)))
        for activity, values in definitions.activity_definitions(references).items()
    ]


def _names(references: list[EntityReference], context: IngestContext) -> list[tuple[str, str]]:
    return definitions.agent_names(references) + _names_of_authority(context.authority)


@lru_cache(maxsize=1000)
def _names_of_authority(authority: str) -> list[tuple[str, str]]:
    agent = orjson.loads(authority)
    reference = ("agent", index_keys.agent_identity(agent), agent, index_keys.Role.AUTHORITY)
    return definitions.agent_names([reference])


def _statement_id(
    statement: dict[str, Any], organization: str | None, derived_ids: Counter[str]
) -> str:
    """The id as received; or one derived from the content, so that a retry has the same id.

    Equal statements of one request are different events: the n-th one gets the n-th derived id. A
    statement without a timestamp gets a random id for the same reason.
    """
    if "id" in statement:
        return str(statement["id"])
    if "timestamp" not in statement:
        return str(uuid4())
    derived_id = equality.derived_id(statement, organization)
    derived_ids[derived_id] += 1
    number = derived_ids[derived_id]
    return derived_id if number == 1 else derived_uuid("repeated", derived_id, number)


def _body(item: ParsedItem, statement_id: str, context: IngestContext) -> str:
    """The JSON text to store, without its end: the insert appends the remaining members."""
    statement = item.statement
    id_member = "" if "id" in statement else f'"id":"{statement_id}",'
    version = "" if "version" in statement else f'"version":"{DEFAULT_VERSIONS[item.version]}",'
    return f'{{{id_member}{_received_members(item)},"authority":{context.authority},{version}'


def _received_members(item: ParsedItem) -> str:
    """The members as received, without those that the LRS sets, as text."""
    statement = item.statement
    rewritten = strict_json.context_activities_as_arrays(item.text, statement)
    if not rewritten and _SET_BY_LRS.isdisjoint(statement):
        return item.text[1:-1].decode()
    members = strict_json.members(item.text) | rewritten
    return ",".join(
        f'"{name}":{raw.decode()}' for name, raw in members.items() if name not in _SET_BY_LRS
    )
