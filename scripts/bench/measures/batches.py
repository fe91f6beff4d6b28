"""Target 2: batches through both interfaces, beside COPY of the same rows."""

from __future__ import annotations

import asyncio

from scripts.bench import load
from scripts.bench.copying import copy_rate, prepared
from scripts.bench.measures import Lab
from scripts.bench.results import Row, Section, least_ratio
from scripts.bench.samples import Samples
from scripts.bench.servers import Target

SIZES = (50, 500)
CONNECTIONS = 4
_ROWS = 20_000


def measure(lab: Lab, target: Target) -> Section:
    section = Section()
    samples = Samples(2)
    rows = prepared(samples.statement() for _ in range(_ROWS))
    for size in SIZES:
        limit = asyncio.run(copy_rate(target.dsn, rows, size, CONNECTIONS))
        section.notes.append(f"COPY in transactions of {size}: {limit:,.0f} statements/s.")
        for face, path in (("partner", target.statements), ("xapi", "/xapi/statements")):
            request = load.posts(target, size, 4000 // size, path)
            found = load.measure(target, request, connections=CONNECTIONS, seconds=lab.seconds)
            section.rows.append(
                Row(
                    "batches",
                    f"POST {size} statements, {face}",
                    CONNECTIONS,
                    found.rate * size,
                    found,
                    unit="statements",
                    limit=limit,
                    workers=lab.workers,
                )
            )
    section.verdicts.append(least_ratio(2, "batches, of COPY", section.rows, 0.5))
    return section
