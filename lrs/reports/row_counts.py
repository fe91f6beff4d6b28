"""The number of rows of each report table, counted on request."""

from __future__ import annotations

import time
from contextlib import suppress

from lrs import resources
from lrs.errors import Overloaded
from lrs.reports import tables
from lrs.reports.exports import Exports
from lrs.reports.tables import TABLES
from lrs.store.postgres import translate_errors

# Some tables have as many rows as a stored one, whose count needs no join.
_COUNTS = {
    "learner_dim": resources.query("count_learners"),
    "user_dim": resources.query("count_learners"),
    "learner_identifier_dim": resources.query("count_identifiers"),
    "learner_record": resources.query("count_learner_records"),
    "statements": resources.query("count_all_statements"),
}

_TIMEOUT_SECONDS = 5.0


async def count_rows(
    exports: Exports, partner_id: int, *, timeout_seconds: float = _TIMEOUT_SECONDS
) -> dict[str, int | None]:
    """The number of rows of each table; None for those that the time does not suffice for.

    All are None while no connection for exports is free. Raises Unavailable.
    """
    counts: dict[str, int | None] = dict.fromkeys(TABLES)
    deadline = time.monotonic() + timeout_seconds
    with suppress(Overloaded, TimeoutError):
        async with exports.snapshot(partner_id) as snapshot:
            for name in TABLES:
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    break
                with translate_errors():
                    counts[name] = await snapshot.connection.fetchval(
                        _count_sql(name), partner_id, timeout=remaining
                    )
    return counts


def _count_sql(name: str) -> str:
    return _COUNTS.get(name) or f"select count(*) from (\n{tables.select(name)}\n) as report"
