"""CSV: no text cell is taken for a formula by a spreadsheet; numbers and raw CSV are unchanged."""

from __future__ import annotations

import csv
import io
import string

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrs.api.services import Services
from lrs.reports import csv_cells
from lrs.reports.tables import TABLES
from tests.support.canvas import body, new_tool
from tests.support.examples import examples
from tests.support.learner_records import content, learner, record
from tests.support.partners import Partner
from tests.support.report_downloads import get, parquet
from tests.support.reports import World

FORMULA = '=HYPERLINK("http://evil.example","a")\n\'x\''
FIRST_CHARACTERS = [*string.printable, "＝", "😀", ""]  # noqa: RUF001

TEXTS = st.text(max_size=8) | st.builds(str.__add__, st.sampled_from("=+-@\t\r"), st.text())
CELLS = TEXTS | st.none() | st.integers() | st.floats(allow_nan=False)


def rows_of(response: httpx.Response) -> list[dict[str, str]]:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert response.headers["content-disposition"].startswith("attachment; filename=")
    assert response.headers["x-content-type-options"] == "nosniff"
    return list(csv.DictReader(io.StringIO(response.text, newline="")))


@settings(max_examples=examples(30))
@given(st.lists(st.lists(CELLS, min_size=2, max_size=2), max_size=5))
def test_no_cell_begins_as_a_formula_and_numbers_are_unchanged(rows: list[list[object]]) -> None:
    table = [dict(zip("ab", row, strict=True)) for row in rows]
    written = list(csv.reader(io.StringIO(csv_cells.write_csv("ab", table), newline="")))
    raw = list(csv.reader(io.StringIO(csv_cells.write_csv("ab", table, raw=True), newline="")))
    for row, cells, raw_cells in zip(rows, written[1:], raw[1:], strict=True):
        for value, cell, raw_cell in zip(row, cells, raw_cells, strict=True):
            text = "" if value is None else str(value)
            assert raw_cell == text
            if isinstance(value, str):
                assert not cell.startswith(tuple("=+-@\t\r"))
                assert cell == text or cell == f"'{text}"
            else:
                assert cell == text


async def test_sql_and_python_neutralize_the_same_texts(services: Services) -> None:
    texts = [first + rest for first in FIRST_CHARACTERS for rest in ("", "1+1", "=\n-1\\1")]
    neutralized = csv_cells.neutralize_sql("text")
    actual = await services.database.readers.fetch(
        f"select {neutralized} as text from unnest($1::text[]) as text", texts
    )
    assert [row["text"] for row in actual] == [csv_cells.neutralize(text) for text in texts]


def test_header_line_has_no_formula() -> None:
    names = [column.name for table in TABLES.values() for column in table.columns]
    assert [csv_cells.neutralize(name) for name in names] == names


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r"])
async def test_text_of_a_table_is_neutralized_in_csv_only(
    services: Services, partner: Partner, first: str
) -> None:
    name = f"{first}1"
    await World(services.database, partner.partner_id).person(first_name=name, last_name="-5")
    (row,) = rows_of(await get(partner, "user_dim.csv"))
    assert (row["first_name"], row["last_name"]) == (f"'{name}", "'-5")
    (raw,) = rows_of(await get(partner, "user_dim.csv?raw=true"))
    assert (raw["first_name"], raw["last_name"]) == (name, "-5")
    (packed,) = parquet(await get(partner, "user_dim.parquet"))
    assert packed["first_name"] == name
    (line,) = (await get(partner, "user_dim.json")).json()["rows"]
    assert line["first_name"] == name


async def test_negative_numbers_of_a_table_are_unchanged(
    services: Services, partner: Partner
) -> None:
    world = World(services.database, partner.partner_id)
    person, course = await world.person(), await world.content("course", "Python")
    await world.day(person, course, xp=-5.5)
    (row,) = rows_of(await get(partner, "course_fact.csv"))
    assert row["xp"] == "-5.5"


async def test_invalid_raw_parameter_returns_400(partner: Partner) -> None:
    for path in ("reports/user_dim.csv", "learners/ada/records.csv"):
        response = await partner.http.get(
            partner.url(path), params={"raw": "yes"}, headers=partner.headers
        )
        assert (response.status_code, response.json()["code"]) == (400, "invalid-parameter")


async def test_learner_records_are_neutralized_unless_raw(
    services: Services, partner: Partner
) -> None:
    person = await learner(services, partner, external_id="@ada")
    for number in range(2):
        item = await content(services, partner, f"http://example.com/{number}", title=FORMULA)
        await record(services, partner, person, item, progress=-1.0)
    path, headers = partner.url(f"learners/id:{person}/records.csv"), partner.headers
    response = await partner.http.get(path, params={"limit": 1}, headers=headers)
    (row,) = rows_of(response)
    assert (row["user"], row["title"], row["progress"]) == ("'@ada", f"'{FORMULA}", "-1.0")
    response = await partner.http.get(path, params={"limit": 1, "raw": "true"}, headers=headers)
    (row,) = rows_of(response)
    assert (row["user"], row["title"], row["progress"]) == ("@ada", FORMULA, "-1.0")
    assert "raw=true" in response.headers["link"]


async def test_page_views_are_neutralized_unless_raw(services: Services, partner: Partner) -> None:
    tool = await new_tool(services, partner)
    await tool.send(body())
    await services.database.writers.execute(
        "update page_view set course_id = '=9' where partner_id = $1", partner.partner_id
    )
    for parameters, course in (({}, "'=9"), ({"raw": "true"}, "=9"), ({"raw": "no"}, "'=9")):
        (row,) = rows_of(await tool.read("/api/v1/users/42/page_views.csv", **parameters))
        assert row["context_id"] == course
