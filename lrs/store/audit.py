"""Audit entries: append-only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from lrs import resources
from lrs.store.postgres import Database, translate_errors

SERVER = 0
"""The partner_id of an entry that belongs to no partner."""

_INSERT = resources.query("insert_audit_entry")


async def append(
    database: Database,
    *,
    partner_id: int,
    operator: str,
    via: str,
    action: str,
    subject: str,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
    request_id: str | None,
) -> None:
    """Adds an entry, in the transaction of the change if there is one."""
    with translate_errors():
        await database.readers.execute(
            _INSERT,
            partner_id,
            operator,
            via,
            action,
            subject,
            _json(before),
            _json(after),
            request_id,
        )


def _json(members: Mapping[str, Any] | None) -> str | None:
    return None if members is None else orjson.dumps(members).decode()
