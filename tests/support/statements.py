"""Valid statements, as JSON and as prepared for the store."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import orjson

from lrs.store.statements.insert import StatementRow
from lrs.xapi import index_keys

JSON = {"Content-Type": "application/json"}
XAPI = {"X-Experience-API-Version": "1.0.3"}


def statement(**members: Any) -> dict[str, Any]:
    """A small valid statement, with members added or replaced."""
    return {
        "actor": {"mbox": "mailto:learner@example.com"},
        "verb": {"id": "http://adlnet.gov/expapi/verbs/completed"},
        "object": {"id": "http://example.com/course/1"},
    } | members


def new_id() -> str:
    return str(uuid4())


def prepared(item: dict[str, Any]) -> StatementRow:
    """A statement with an id as prepared for the store."""
    target, keys = index_keys.statement_ref(item), index_keys.statement_keys(item)
    return StatementRow(
        statement_id=item["id"],
        digest=item["id"].encode(),
        verb_key=index_keys.verb_key(item["verb"]["id"]),
        authority_key=0,
        actor_key=keys.actor,
        object_key=keys.object,
        organization=None,
        has_timestamp=False,
        body=orjson.dumps(item).decode()[:-1] + ",",
        index_entries=tuple(keys.entries.items()),
        target_id=target,
        voids=target is not None and item["verb"]["id"] == index_keys.VOIDED,
    )
