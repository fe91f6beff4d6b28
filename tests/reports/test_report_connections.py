"""Connections of report downloads: limits, lost clients, lost connections."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import asyncpg
import httpx
import pytest

from lrs.environment import convert
from lrs.settings import Settings
from tests.support.app import serving
from tests.support.partners import Partner
from tests.support.report_downloads import get
from tests.support.reports import World


@pytest.mark.slow
async def test_disconnected_client_releases_its_connection(
    settings: Settings, server: str, partner: Partner
) -> None:
    """More clients disconnect than there are connections."""
    async with httpx.AsyncClient(base_url=server) as http:
        client = Partner(http, partner.name, 0, "", partner.key, partner.secret)
        await client.authenticate()
        for _ in range(2 * settings.max_concurrent_exports + 1):
            async with http.stream(
                "GET", client.url("reports/date_dim.ndjson"), headers=client.headers
            ) as answer:
                assert answer.status_code == 200
                await anext(answer.aiter_raw(100))
        assert len((await get(client, "date_dim")).json()["rows"]) == 47_482


async def test_exports_beyond_the_limit_return_503(
    settings: Settings, partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {name: getattr(settings, name) for name in ("database_url", "secret_key")}
    narrow = convert({**values, "max_concurrent_exports": 1, "log_level": "error"})
    async with serving(narrow) as http:
        client = Partner(http, partner.name, 0, "", partner.key, partner.secret)
        await client.authenticate()
        exports = http._transport.app.services.exports  # type: ignore[attr-defined]
        monkeypatch.setattr(exports, "acquire_timeout_seconds", 0.05)
        async with exports.snapshot(partner.partner_id):
            answer = await http.get(client.url("reports/user_dim"), headers=client.headers)
            assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
            assert answer.headers["retry-after"] == "30"
        answers = await asyncio.gather(
            *(http.get(client.url("reports/user_dim"), headers=client.headers) for _ in range(2))
        )
        assert 200 in {answer.status_code for answer in answers}


async def test_connection_lost_during_an_export_returns_503(
    partner: Partner, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = "select pg_terminate_backend(pg_backend_pid()), $1::integer, $2::timestamptz"
    monkeypatch.setattr("lrs.reports.exports._CHANGED_DAYS", lost)
    answer = await partner.http.get(
        partner.url("reports/course_fact"),
        params={"since": "2026-01-01T00:00:00Z"},
        headers=partner.headers,
    )
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")


async def test_connection_is_released_after_a_failed_rollback(
    settings: Settings, partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_: object) -> None:
        raise asyncpg.InternalClientError("cannot switch to state 12")

    async with serving(replace(settings, max_concurrent_exports=1)) as http:
        exports = http._transport.app.services.exports  # type: ignore[attr-defined]
        monkeypatch.setattr(exports, "acquire_timeout_seconds", 0.05)
        with monkeypatch.context() as lost:
            lost.setattr("asyncpg.transaction.Transaction.rollback", fail)
            async with exports.snapshot(partner.partner_id) as snapshot:
                snapshot.connection.terminate()
        async with exports.snapshot(partner.partner_id) as snapshot:
            assert await snapshot.connection.fetchval("select 1") == 1
