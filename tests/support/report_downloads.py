"""Requests for report tables."""

from __future__ import annotations

import io
from typing import Any

import httpx
import pyarrow.parquet

from tests.support.partners import Partner


async def get(partner: Partner, name: str, **options: Any) -> httpx.Response:
    headers = {**partner.headers, "Accept-Encoding": "identity", **options.pop("headers", {})}
    answer = await partner.http.get(partner.url(f"reports/{name}"), headers=headers, **options)
    assert answer.status_code == 200, answer.text
    return answer


def parquet(answer: httpx.Response) -> list[dict[str, Any]]:
    return pyarrow.parquet.read_table(io.BytesIO(answer.content)).to_pylist()
