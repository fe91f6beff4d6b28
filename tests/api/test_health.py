"""Liveness and readiness."""

from __future__ import annotations

import asyncpg
import httpx

from lrs import __version__
from lrs.store import migrations


async def test_healthz_returns_200(http: httpx.AsyncClient) -> None:
    answer = await http.get("/healthz")
    assert (answer.status_code, answer.text) == (200, "ok\n")


async def test_readyz_returns_200(http: httpx.AsyncClient) -> None:
    answer = await http.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {
        "ready": True,
        "version": __version__,
        "schema": migrations.all_migrations()[-1].version,
    }


async def test_readyz_with_a_newer_schema_returns_503(
    http: httpx.AsyncClient, database_url: str
) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("insert into schema_migration values (9999, 'from the future')")
        answer = await http.get("/readyz")
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert answer.headers["content-type"] == "application/problem+json"
        assert "9999" in answer.json()["detail"]
        assert (await http.get("/healthz")).status_code == 200
    finally:
        await connection.execute("delete from schema_migration where version = 9999")
        await connection.close()
    assert (await http.get("/readyz")).status_code == 200
