"""Requests in the alternate request syntax."""

from __future__ import annotations

import base64

import httpx

from tests.support.partners import Partner

VERSION = "X-Experience-API-Version"

STATEMENTS = "/xapi/statements"


def authorization(partner: Partner) -> str:
    pair = f"{partner.key}:{partner.secret}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"


def credentials(partner: Partner) -> dict[str, str]:
    """The headers of every request, as fields."""
    return {"Authorization": authorization(partner), VERSION: "1.0.3"}


async def ask(
    partner: Partner, method: str, path: str = STATEMENTS, **fields: str
) -> httpx.Response:
    """A request of which everything is in the form."""
    return await partner.http.post(
        path, params={"method": method}, data={**credentials(partner), **fields}
    )


async def stored(partner: Partner) -> list[str]:
    return [item["id"] for item in await partner.all()]
