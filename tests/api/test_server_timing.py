"""Server-Timing."""

from __future__ import annotations

import re
from dataclasses import replace

import httpx

from lrs.settings import Settings
from tests.support.app import serving
from tests.support.partners import Partner
from tests.support.statements import statement


async def test_server_timing_lists_the_stages_of_a_request(
    settings: Settings, partner: Partner
) -> None:
    async with serving(replace(settings, server_timing=True)) as http:
        headers = dict(partner.http.headers) | {"Authorization": f"Bearer {partner.token}"}
        path = f"/v1/partners/{partner.name}/statements"
        for answer, stages in (
            (
                await http.post(path, json=statement(), headers=headers),
                ["auth", "parse", "validate", "queue", "database", "render"],
            ),
            (await http.get(path, headers=headers), ["auth", "database", "render"]),
            (await http.get("/healthz"), ["render"]),
        ):
            assert answer.status_code == 200
            reported = answer.headers["server-timing"]
            assert re.findall(r"(\w+);dur=\d+\.\d{3}(?:, |$)", reported) == stages


async def test_server_timing_is_off_by_default(http: httpx.AsyncClient) -> None:
    assert "server-timing" not in (await http.get("/healthz")).headers
