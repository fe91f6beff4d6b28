"""Target 7: bytes on disk for each byte of a plain course completion."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import asyncpg

from scripts.bench.measures import Lab
from scripts.bench.results import Section, Verdict
from scripts.bench.samples import Samples
from scripts.bench.servers import Target

_COUNT = 50_000
_BATCH = 500

# What is made of statements for reports can be made again, and is not counted.
_TABLES = ("statement", "index_entry", "statement_reference", "activity", "agent_name")
_RELATIONS = """
select relation.relname as name, pg_relation_size(relation.oid) as bytes
from unnest($1::text[]) as stored (name)
cross join lateral (
    select stored.name::regclass as oid
    union all
    select indexrelid from pg_index where indrelid = stored.name::regclass
    union all
    select nullif(reltoastrelid, 0) from pg_class where oid = stored.name::regclass
) as part
join pg_class as relation on relation.oid = part.oid
"""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes per statement: as it was sent, as it is given back, and of each table and index."""

    sent: float
    kept: float
    relations: dict[str, float]

    @property
    def total(self) -> float:
        return sum(self.relations.values())


def measure(_: Lab, target: Target) -> Section:
    """To be called first, while the store is empty."""
    found = asyncio.run(_grow(target))
    where = ", ".join(
        f"{name} {size:.0f}"
        for name, size in sorted(found.relations.items(), key=lambda each: -each[1])
        if size >= 1
    )
    note = (
        f"A plain course completion: {found.sent:.0f} bytes as sent, {found.kept:.0f} as the LRS "
        f"gives it back, {found.total:.0f} on disk ({where})."
    )
    what = f"on disk, of the statement's JSON ({found.total / found.sent:.2f} of it as sent)"
    verdict = Verdict(7, what, found.total / found.kept, 1.6, "times")
    return Section(verdicts=[verdict], notes=[note])


async def _grow(target: Target) -> Sizes:
    connection = await asyncpg.connect(target.dsn)
    try:
        before = await _relations(connection)
        sent, kept = _send(target)
        after = await _relations(connection)
    finally:
        await connection.close()
    grown = {name: (size - before.get(name, 0)) / _COUNT for name, size in after.items()}
    return Sizes(sent, kept, grown)


def _send(target: Target) -> tuple[float, float]:
    """Stores them through the front door; returns the mean lengths of what went in and came out."""
    samples, sent = Samples(7), 0
    with target.client() as client:
        for _ in range(_COUNT // _BATCH):
            batch = [_completion(samples) for _ in range(_BATCH)]
            sent += len(
                client.post(target.statements, json=batch).raise_for_status().request.content
            )
        page = client.get(target.statements, params={"limit": _BATCH}).raise_for_status()
    return sent / _COUNT, len(page.content) / len(page.json()["statements"])


def _completion(samples: Samples) -> dict[str, object]:
    moment = "2026-05-08T14:44:01.267Z"
    return {"id": samples.fresh_id(), **samples.completed_course(), "timestamp": moment}


async def _relations(connection: asyncpg.Connection) -> dict[str, int]:
    rows = await connection.fetch(_RELATIONS, _TABLES)
    return {row["name"]: row["bytes"] for row in rows}
