"""Rounds of background tasks that one worker of all servers runs."""

from __future__ import annotations

from lrs import resources
from lrs.store.postgres import Database, translate_errors


async def claim_round(database: Database, task: str, interval_seconds: float) -> bool:
    """Whether this worker runs the task now; of all servers, one in each interval.

    Raises Unavailable.
    """
    with translate_errors():
        row = await database.readers.fetchrow(
            resources.query("claim_maintenance_round"), task, interval_seconds
        )
    return row is not None
