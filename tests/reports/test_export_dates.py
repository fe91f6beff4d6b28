"""Exports: dates in all formats, and the byte order mark of CSV."""

from __future__ import annotations

import csv
import json
from datetime import UTC, date, datetime

import pytest

from lrs.api.services import Services
from tests.support.learning_history import project_all
from tests.support.partners import Partner
from tests.support.report_downloads import get, parquet
from tests.support.reports import World
from tests.support.statements import statement

STARTED = datetime(2026, 5, 8, 12, 0, 0, 500_000, UTC)


async def test_dates_are_alike_in_all_formats(services: Services, partner: Partner) -> None:
    world = World(services.database, partner.partner_id)
    person = await world.person(first_name="Ann")
    course = await world.content("course", "Python", launched_date="2025-01-15")
    await world.day(person, course, started_at=STARTED)
    for table, column, text, value in (
        ("course_fact", "started_at", "2026-05-08T12:00:00.500000Z", STARTED),
        ("course_dim", "launched_date", "2025-01-15", date(2025, 1, 15)),
    ):
        (as_csv, *_) = csv.DictReader((await get(partner, f"{table}.csv")).text.splitlines())
        as_line = json.loads((await get(partner, f"{table}.ndjson")).text.splitlines()[0])
        as_json = (await get(partner, f"{table}.json")).json()["rows"][0]
        assert (as_csv[column], as_line[column], as_json[column]) == (text, text, text)
        row = parquet(await get(partner, f"{table}.parquet"))[0]
        assert row[column] == value


@pytest.mark.parametrize("name", ["reports/user_dim.csv", "records.csv", "learners/{}/records.csv"])
async def test_byte_order_mark_is_an_option_of_csv(
    services: Services, partner: Partner, name: str
) -> None:
    await partner.send(statement(actor={"mbox": "mailto:ann@example.com"}))
    await project_all(services, partner.partner_id)
    path = partner.url(name.format("ann@example.com"))
    plain = await partner.http.get(path, headers=partner.headers)
    marked = await partner.http.get(path, headers=partner.headers, params={"bom": "true"})
    assert (plain.status_code, marked.status_code) == (200, 200)
    assert marked.content == "\ufeff".encode() + plain.content


@pytest.mark.parametrize("name", ["reports/user_dim.ndjson", "reports/user_dim", "records.ndjson"])
async def test_byte_order_mark_in_another_format_returns_400(partner: Partner, name: str) -> None:
    response = await partner.http.get(
        partner.url(name), headers=partner.headers, params={"bom": "true"}
    )
    assert (response.status_code, response.json()["code"]) == (400, "invalid-parameter")
