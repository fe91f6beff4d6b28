"""What it costs to keep reports up to date, and how far they lag behind."""

from __future__ import annotations

import asyncio
import time

import asyncpg

from lrs.store.projection import waiting
from scripts.bench import filling, load, servers
from scripts.bench.measures import Lab
from scripts.bench.results import Row, Section
from scripts.bench.servers import Target

_BATCH = 50
_CONNECTIONS = 4
_PATIENCE = 60
_PAUSE = 0.2


def measure(lab: Lab) -> Section:
    section = Section()
    with (
        servers.ours(lab.folder / "without", lab.workers) as without,
        servers.ours(lab.folder / "reports", lab.workers, LRS_PROJECTION="true") as following,
    ):
        limit = None
        for name, target in (("no reports", without), ("reports kept up to date", following)):
            request = load.posts(target, _BATCH, 80)
            began = time.monotonic()
            found = load.measure(target, request, connections=_CONNECTIONS, seconds=lab.seconds)
            rate = found.rate * _BATCH
            what = f"POST {_BATCH} statements, {name}"
            section.rows.append(
                Row("reports", what, _CONNECTIONS, rate, found, "statements", limit, lab.workers)
            )
            limit = rate
        ended = time.monotonic()
        if asyncio.run(_followed(following)):
            now = time.monotonic()
            rate = asyncio.run(filling.stored(following.dsn)) / (now - began)
            section.notes.append(
                f"Reports had everything {now - ended:.1f} s after the load's end: "
                f"{rate:,.0f} statements/s were followed."
            )
        else:
            section.notes.append(f"Reports lag by more than {_PATIENCE} s.")
    return section


async def _followed(target: Target) -> bool:
    """Waits until nothing waits to be followed."""
    give_up = time.monotonic() + _PATIENCE
    connection = await asyncpg.connect(target.dsn)
    try:
        while any(partner.since for partner in await waiting(connection)):
            if time.monotonic() > give_up:
                return False
            await asyncio.sleep(_PAUSE)
        return True
    finally:
        await connection.close()
