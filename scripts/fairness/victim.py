"""The victim: a partner that sends a few requests per second, and measures all of them."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from uuid import uuid4

import httpx

REQUESTS_PER_SECOND = 50
_TIMEOUT = 30.0
_BATCH_SIZE = 20
_KINDS = ("single", "single", "single", "single", "single", "single", "batch", "get", "token",
          "state")  # fmt: skip
_NO_RESPONSE = 0
_PROBE_INTERVAL = 0.02


@dataclass(frozen=True, slots=True)
class Client:
    """A partner's client: its base URL, its credentials and an access token."""

    url: str
    partner: str
    key: str
    secret: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}", "X-Experience-API-Version": "1.0.3"}


def authenticate(url: str, partner: str, key: str, secret: str) -> Client:
    response = httpx.post(
        f"{url}/oauth2/token", data={"grant_type": "client_credentials"}, auth=(key, secret)
    )
    return Client(url, partner, key, secret, response.raise_for_status().json()["access_token"])


@dataclass(slots=True)
class Report:
    """Seconds from the planned start of each request to its response, and counts of statuses.

    Status 0 is a request without a response. `probes` are the same of `/healthz`, and `unready`
    counts other responses of `/readyz` than 200.
    """

    latencies: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    probes: list[float] = field(default_factory=list)
    unready: int = 0

    @property
    def p99(self) -> float:
        return quantile(self.latencies, 0.99)

    @property
    def stall(self) -> float:
        """The longest time without a response of `/healthz`, which uses only the event loop."""
        return max(self.probes, default=0.0)

    @property
    def failures(self) -> int:
        """Requests without a response, and those with a status of 400 and more."""
        return sum(n for status, n in self.statuses.items() if status < 200 or status >= 400)


def quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


async def run(client: Client, seconds: float) -> Report:
    """Sends requests at a fixed rate for `seconds`, whatever the latency of earlier ones."""
    report = Report()
    limits = httpx.Limits(max_connections=1000, max_keepalive_connections=100)
    async with httpx.AsyncClient(base_url=client.url, timeout=_TIMEOUT, limits=limits) as http:
        requests = Requests(http, client)
        probing = asyncio.create_task(_probe(http, report))
        async with asyncio.TaskGroup() as tasks:
            begin = time.perf_counter()
            for number in range(int(seconds * REQUESTS_PER_SECOND)):
                planned = begin + number / REQUESTS_PER_SECOND
                await asyncio.sleep(max(0.0, planned - time.perf_counter()))
                kind = _KINDS[number % len(_KINDS)]
                tasks.create_task(_measure(requests, kind, planned, report))
        probing.cancel()
    return report


class Requests:
    """One request of each kind."""

    def __init__(self, http: httpx.AsyncClient, client: Client) -> None:
        self._http = http
        self._client = client
        self._numbers = count()

    async def send(self, kind: str) -> httpx.Response:
        statements = f"/v1/partners/{self._client.partner}/statements"
        match kind:
            case "token":
                return await self._http.post(
                    "/oauth2/token",
                    data={"grant_type": "client_credentials"},
                    auth=(self._client.key, self._client.secret),
                )
            case "get":
                return await self._http.get(
                    statements, params={"limit": "10"}, headers=self._client.headers
                )
            case "state":
                return await self._http.put(
                    "/xapi/activities/state",
                    params={
                        "activityId": "http://example.com/activities/victim",
                        "agent": '{"mbox":"mailto:victim@example.com"}',
                        "stateId": str(next(self._numbers)),
                    },
                    json={"progress": 1},
                    headers=self._client.headers,
                )
            case "batch":
                batch = [statement() for _ in range(_BATCH_SIZE)]
                return await self._http.post(statements, json=batch, headers=self._client.headers)
            case _:
                return await self._http.post(
                    statements, json=statement(), headers=self._client.headers
                )


def statement(actor: str = "victim", activity: str = "victim") -> dict[str, object]:
    return {
        "id": str(uuid4()),
        "actor": {"mbox": f"mailto:{actor}@example.com"},
        "verb": {"id": "http://adlnet.gov/expapi/verbs/completed"},
        "object": {"id": f"http://example.com/activities/{activity}"},
    }


async def _measure(requests: Requests, kind: str, planned: float, report: Report) -> None:
    try:
        status = (await requests.send(kind)).status_code
    except httpx.HTTPError:
        status = _NO_RESPONSE
    report.statuses[status] += 1
    report.latencies.append(time.perf_counter() - planned)


async def _probe(http: httpx.AsyncClient, report: Report) -> None:
    for number in count():
        begin = time.perf_counter()
        try:
            path = "/healthz" if number % 10 else "/readyz"
            response = await http.get(path)
            report.unready += response.status_code != 200
        except httpx.HTTPError:
            report.unready += 1
        if number % 10:
            report.probes.append(time.perf_counter() - begin)
        await asyncio.sleep(_PROBE_INTERVAL)
