"""The filled store of the benchmark's part scale."""

from __future__ import annotations

from collections import Counter
from typing import Any

import asyncpg
import orjson

from lrs.store.statements.partner_keys import key_salt
from lrs.store.statements.sequence import stored_at
from lrs.xapi.timestamps import parse_timestamp
from scripts.bench import scale_rows, scale_samples
from tests.support.partners import Partner

_TOTAL = 1000
_ITEMS = range(80)
_LEARNERS = 10


async def test_copied_rows_are_those_of_ingest(
    partner: Partner, stranger: Partner, database_url: str
) -> None:
    first, *others = scale_samples.items(_ITEMS, _TOTAL, _LEARNERS)
    for item in (first, *others):
        resource = "track" if item.is_track_event else "statements"
        response = await partner.send(item.value, resource=resource, organization=item.organization)
        assert response.status_code == 200, response.text
    resource = "track" if first.is_track_event else "statements"
    response = await stranger.send(first.value, resource=resource)
    (statement_id,) = response.json()
    connection = await asyncpg.connect(database_url)
    try:
        sender = await scale_rows.read_sender(database_url, statement_id, stranger.name)
        described = await scale_rows.copy(database_url, sender, others)
        await scale_rows.insert_described(connection, stranger.partner_id, described)
        expected, copied = [
            await _rows(connection, item.partner_id) for item in (partner, stranger)
        ]
    finally:
        await connection.close()
    organization_of_first = copied["statements"][statement_id].pop("organization")
    assert (organization_of_first, first.organization) == (None, scale_samples.ORGANIZATION)
    expected["statements"][statement_id].pop("organization")
    assert len(expected["statements"]) == len(_ITEMS)
    assert len({row["source"] for row in expected["statements"].values()}) == 2
    assert expected["entries"]
    assert expected["names"]
    assert copied == expected


async def _rows(connection: asyncpg.Connection, partner_id: int) -> dict[str, Any]:
    """The rows of a partner without what the server sets: `stored` and the authority."""
    salt = key_salt(partner_id)
    fetched = await connection.fetch("select * from statement where partner_id = $1", partner_id)
    entries = await connection.fetch(
        """
        select statement_id, key, roles from index_entry
        join statement using (partner_id, sequence) where partner_id = $1
        """,
        partner_id,
    )
    activities = await connection.fetch("select * from activity where partner_id = $1", partner_id)
    names = await connection.fetch("select * from agent_name where partner_id = $1", partner_id)
    return {
        "statements": {str(row["statement_id"]): _comparable(row, salt) for row in fetched},
        "entries": Counter(
            (row["statement_id"], row["key"] ^ salt, row["roles"]) for row in entries
        ),
        "activities": {row["activity_id"]: orjson.loads(row["definition"]) for row in activities},
        "names": {
            (row["agent_hash"], row["name_hash"], row["name"])
            for row in names
            if row["name"].startswith("Learner")
        },
    }


def _comparable(row: asyncpg.Record, salt: int) -> dict[str, Any]:
    keys = ("verb_key", "actor_key", "object_key")
    payload = orjson.loads(row["payload"])
    return {
        **{key: row[key] and row[key] ^ salt for key in keys},
        "digest": row["digest"],
        "organization": row["organization"],
        "source": row["source"],
        "members": list(payload),
        "payload": {**payload, "stored": "", "authority": ""},
        "is_stored_at_sequence": parse_timestamp(payload["stored"]) == stored_at(row["sequence"]),
    }
