"""`/metrics`: its token, its listener, clients on the same host, cache and label values."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest
from prometheus_client import REGISTRY

from lrs.api.application import Application
from lrs.app import create_app
from lrs.observability import metrics
from lrs.observability.exposition import Exposition
from lrs.settings import Settings

TOKEN = "metrics-token-0123456789"
LOCAL = "http://127.0.0.1:8080"


def client(
    app: Application, *, address: str = "127.0.0.1", url: str = LOCAL, **headers: str
) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app, client=(address, 40_000))
    return httpx.AsyncClient(transport=transport, base_url=url, headers=headers)


@pytest.fixture(scope="module")
async def token_app(settings: Settings) -> AsyncIterator[Application]:
    """An application with a token, and a listener for metrics on port 9100."""
    app = create_app(replace(settings, metrics_token=TOKEN, metrics_address="127.0.0.1:9100"))
    async with app.lifespan():
        yield app


# Without a token


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("127.0.0.1", LOCAL),
        ("127.0.0.53", "http://localhost:8080"),
        ("::1", "http://[::1]:8080"),
        ("::ffff:127.0.0.1", LOCAL),
    ],
)
async def test_direct_client_on_the_same_host_reads_metrics(
    app: Application, address: str, url: str
) -> None:
    assert (await client(app, address=address, url=url).get("/metrics")).status_code == 200


@pytest.mark.parametrize("address", ["10.0.0.7", "203.0.113.9", "::ffff:10.0.0.7", "", "unknown"])
async def test_client_on_another_host_returns_403(app: Application, address: str) -> None:
    answer = await client(app, address=address).get("/metrics")
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert "LRS_METRICS_TOKEN" in answer.json()["detail"]
    assert "lrs_" not in answer.text


@pytest.mark.parametrize(
    "name", ["X-Forwarded-For", "Forwarded", "Via", "Origin", "x-forwarded-for"]
)
async def test_request_of_a_proxy_or_a_page_returns_403(app: Application, name: str) -> None:
    answer = await client(app, **{name: "127.0.0.1"}).get("/metrics")
    assert answer.status_code == 403


@pytest.mark.parametrize("host", ["lrs.example.com", "127.0.0.1.example.com", "[", "10.0.0.7", ""])
async def test_host_header_of_another_host_returns_403(app: Application, host: str) -> None:
    """A proxy that sets no header, and a page that rebinds its name to 127.0.0.1."""
    assert (await client(app, Host=host).get("/metrics")).status_code == 403


# With a token, on a listener of its own

LISTENER = "http://127.0.0.1:9100"


async def test_token_reads_metrics_from_every_address(token_app: Application) -> None:
    for scheme in ("Bearer", "bearer"):
        headers = {"Authorization": f"{scheme} {TOKEN}", "X-Forwarded-For": "203.0.113.9"}
        http = client(token_app, address="203.0.113.9", url=LISTENER, **headers)
        answer = await http.get("/metrics")
        assert answer.status_code == 200
        assert "lrs_requests_total" in answer.text


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", TOKEN,
     "Bearer \u00e9"],
)  # fmt: skip
async def test_missing_or_wrong_token_returns_401(
    token_app: Application, authorization: str
) -> None:
    headers = [(b"authorization", authorization.encode("latin-1"))] if authorization else []
    answer = await client(token_app, url=LISTENER).get("/metrics", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert answer.headers["www-authenticate"] == 'Bearer realm="metrics"'


async def test_metrics_are_on_their_listener_only(token_app: Application) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    main, listener = client(token_app, **headers), client(token_app, url=LISTENER, **headers)
    for path in ("/metrics", "/metrics/", f"{LOCAL}//metrics", "/content-aggregation/metrics"):
        assert (await main.get(path)).status_code == 404, path
    assert (await main.get("/healthz")).status_code == 200
    for path in ("/healthz", "/", "/docs", "/xapi/about", "/oauth2/token"):
        assert (await listener.get(path)).status_code == 404, path
    assert (await listener.post("/metrics")).status_code == 405
    assert (await listener.head("/metrics")).status_code == 200


# Cache and labels


async def test_concurrent_requests_share_one_rendering() -> None:
    renderings = 0

    async def update_gauges() -> None:
        nonlocal renderings
        renderings += 1
        await asyncio.sleep(0)

    exposition = Exposition(update_gauges, cache_seconds=60)
    texts = await asyncio.gather(*(exposition.text() for _ in range(20)))
    assert (renderings, len(set(texts))) == (1, 1)
    expired = Exposition(update_gauges, cache_seconds=0)
    await expired.text()
    await expired.text()
    assert renderings == 3


async def test_refused_request_renders_nothing(
    app: Application, token_app: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Exposition, "text", None)
    statuses = {
        (await client(token_app, url=LISTENER, address="198.51.100.1").get("/metrics")).status_code,
        (await client(app, address="198.51.100.1").get("/metrics")).status_code,
    }
    assert statuses == {401, 403}


async def test_metrics_are_cached(token_app: Application) -> None:
    http = client(token_app, url=LISTENER, Authorization=f"Bearer {TOKEN}")
    first = (await http.get("/metrics")).text
    assert (await http.get("/metrics")).text == first


def test_partners_beyond_the_limit_share_one_label(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_labeled_partners", set())
    limit = metrics.MAX_LABELED_PARTNERS
    labels = {metrics.partner_label(f"partner-{number}") for number in range(limit + 50)}
    assert len(labels) == limit + 1
    assert metrics.OTHER_PARTNERS in labels
    assert metrics.partner_label("partner-0") == "partner-0"


def test_creation_times_are_no_metrics() -> None:
    """They would double the text."""
    metrics.OUTCOMES.labels("demo", "stored").inc(0)
    names = {sample.name for family in REGISTRY.collect() for sample in family.samples}
    assert not [name for name in names if name.endswith("_created") and name.startswith("lrs_")]
