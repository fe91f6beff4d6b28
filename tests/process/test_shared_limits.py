"""Rate limits that the workers of one server share."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest

from tests.support.app import SECRET_KEY
from tests.support.server_process import Server, run

RATE = 8  # a busy machine sends more
LEASE = RATE * 0.5


@pytest.mark.slow
def test_workers_exceed_the_rate_by_at_most_one_lease(database_url: str, data: Path) -> None:
    environment = {"LRS_DATABASE_URL": database_url, "LRS_SECRET_KEY": SECRET_KEY}
    run("partner", "add", "shared-rate", "--home-page", "https://x.example", **environment)
    run("partner", "set", "shared-rate", "--rate-limit", f"{RATE}/second", **environment)
    issued = run("credential", "add", "shared-rate", **environment).stdout
    key, secret = re.findall(r"(?:key|secret) +(\S+)", issued)
    server = Server(data, "--workers", "2", **environment)
    try:
        statuses, seconds = asyncio.run(send(server.url, (key, secret)))
    finally:
        server.close()
    assert set(statuses) == {200, 429}
    most = RATE + RATE * seconds
    # The lower bound leaves room for a busy machine, which sends less than the rate.
    assert 0.5 * most <= statuses[200] <= most + LEASE


async def send(url: str, auth: tuple[str, str]) -> tuple[Counter[int], float]:
    """The statuses of requests on six connections for two seconds, and the time that they took."""
    statuses: Counter[int] = Counter()
    headers = {"X-Experience-API-Version": "1.0.3"}
    began = time.monotonic()

    async def client() -> None:
        async with httpx.AsyncClient(base_url=url, auth=auth, headers=headers) as http:
            while time.monotonic() < began + 2:
                response = await http.get("/xapi/statements?limit=1")
                statuses[response.status_code] += 1

    await asyncio.gather(*(client() for _ in range(6)))
    return statuses, time.monotonic() - began
