"""Requests for report tables."""

from __future__ import annotations

import io
from typing import Any

import httpx
import pyarrow.parquet

from tests.support.partners import Partner


async def get(partner: Partner, name: str, **options: Any) -> httpx.Response:
    headers = {**partner.headers, "Accept-Encoding": "identity", **options.pop("headers", {})}
    response = await partner.http.get(partner.url(f"reports/{name}"), headers=headers, **options)
    assert response.status_code == 200, response.text
    return response


def parquet(response: httpx.Response) -> list[dict[str, Any]]:
    return pyarrow.parquet.read_table(io.BytesIO(response.content)).to_pylist()
