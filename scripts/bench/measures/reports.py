"""What it costs to keep reports up to date, and how far they lag behind.

Rounds without reports and with them take turns, so that what else the machine does meets both.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack

import asyncpg

from lrs.projection.lag import backlogs
from scripts.bench import filling, load, servers
from scripts.bench.load import Measured
from scripts.bench.measures import Lab
from scripts.bench.results import Row, Section
from scripts.bench.servers import Target

_BATCH = 50
_CONNECTIONS = 4
_ROUNDS = 5
_BODIES = 800  # of a few, learners would soon have done the same a hundred times
_PATIENCE = 120
_PAUSE = 0.05


def measure(lab: Lab) -> Section:
    rounds: dict[str, list[Measured]] = {"no reports": [], "reports kept up to date": []}
    lags, waits, followed = [], [], []
    with ExitStack() as running:
        without, following = (
            running.enter_context(
                servers.ours(lab.folder / f"reports-{kept}", lab.workers, LRS_PROJECTION=kept)
            )
            for kept in ("off", "on")
        )
        for _ in range(_ROUNDS):
            rounds["no reports"].append(_load(without, lab))
            before = asyncio.run(filling.stored(following.dsn))
            began = time.monotonic()
            rounds["reports kept up to date"].append(_load(following, lab))
            ended = time.monotonic()
            lags.append(asyncio.run(_lag(following)))
            _followed(following)
            waits.append(time.monotonic() - ended)
            count = asyncio.run(filling.stored(following.dsn)) - before
            followed.append(count / (time.monotonic() - began))
    section = Section()
    limit = None
    for name, found in rounds.items():
        middle = _median(found)
        what, rate = f"POST {_BATCH} statements, {name}", middle.rate * _BATCH
        section.rows.append(
            Row("reports", what, _CONNECTIONS, rate, middle, "statements", limit, lab.workers)
        )
        limit = rate
    ratios = (kept.rate / alone.rate for alone, kept in zip(*rounds.values(), strict=True))
    section.notes += [
        f"Reports, the middle one of {_ROUNDS} rounds; of the rate of the round without before it: "
        f"{', '.join(f'{each:.0%}' for each in ratios)}.",
        f"At the end of {lab.seconds} s of load reports lagged {max(lags):.1f} s at most, and had "
        f"everything {max(waits):.1f} s later at most; {min(followed):,.0f} statements/s or more "
        "were followed.",
    ]
    return section


def _load(target: Target, lab: Lab) -> Measured:
    request = load.posts(target, _BATCH, _BODIES)
    return load.measure(target, request, connections=_CONNECTIONS, seconds=lab.seconds)


def _median(rounds: list[Measured]) -> Measured:
    return sorted(rounds, key=lambda each: each.rate)[len(rounds) // 2]


async def _lag(target: Target) -> float:
    """Seconds that the oldest statement has waited to be followed."""
    connection = await asyncpg.connect(target.dsn)
    try:
        return max(partner.lag_seconds for partner in await backlogs(connection))
    finally:
        await connection.close()


def _followed(target: Target) -> None:
    """Waits until nothing waits to be followed, but not for ever."""
    give_up = time.monotonic() + _PATIENCE
    while asyncio.run(_lag(target)) and time.monotonic() < give_up:
        time.sleep(_PAUSE)
