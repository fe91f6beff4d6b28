"""Imports of too many rows, values or columns."""

from __future__ import annotations

import time

import httpx
import pytest

from tests.support.partners import Partner

IMPORTS = {
    "JSON objects": (
        "application/json",
        b"[" + b"{}," * 5_000_000 + b"{}]",
        "more than 2000000 values",
    ),
    "JSON rows": ("application/json", b"[" + b"{}," * 150_000 + b"{}]", "at most 100000"),
    "one JSON row": (
        "application/json",
        b"[{" + b'"a":0,' * 20_000 + b'"b":0}]',
        "more than 65536",
    ),
    "one JSON value": ("application/json", b'{"a":"' + b"x" * 70_000 + b'"}', "not an array"),
    "CSV cells": ("text/csv", b"type,name\n" + b"," * 3_000_000, "more than 2000000 values"),
    "CSV columns": ("text/csv", b"type," * 500_000 + b"\n", "at most 1000"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "body", "detail"), IMPORTS.values(), ids=IMPORTS)
async def test_import_of_too_many_values_is_refused(
    operator: Partner, kind: str, body: bytes, detail: str
) -> None:
    began = time.monotonic()
    response: httpx.Response = await operator.http.post(
        operator.url("people/imports"),
        content=body,
        headers={**operator.headers, "Content-Type": kind},
    )
    assert response.status_code in (400, 413)
    assert detail in response.json()["detail"]
    assert time.monotonic() - began < 2
