"""People import: tables as systems of human resources write them."""

from __future__ import annotations

from typing import Any

import pytest

from lrs.errors import InvalidImport
from lrs.imports import dates, encodings, tables
from lrs.imports.tables import TableOptions
from lrs.people.rows import ROWS
from tests.support.partners import Partner
from tests.support.people_import import ADA, GROUP, TEAM, import_rows, post

# The example of docs/people.md, with another letter than ASCII and a semicolon in a cell.
HR = """Employee ID;Work E-mail;First;Last;Department;Hired
emp_001;ada@example.com;Zoë;"Lovelace; Ada";Analytics;31.12.2025
emp_002;;Charles;Babbage;;01.02.2026
"""
MAPPED = {
    "user": "Employee ID",
    "email": "Work E-mail",
    "first_name": "First",
    "last_name": "Last",
}


@pytest.mark.parametrize("delimiter", [";", "\t", ",", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_delimiter_encoding_and_line_ends_are_detected(
    delimiter: str, encoding: str, line_end: str
) -> None:
    table = HR.replace("Lovelace; Ada", "Lovelace").replace(";", delimiter)
    decoded = encodings.decode(table.replace("\n", line_end).encode(encoding))
    parsed = ROWS.read_csv(decoded.text, TableOptions(headers=MAPPED))
    first, second = parsed.rows
    assert first.violations == second.violations == ()
    assert first.values == {
        "type": "user",
        "user": "emp_001",
        "email": ADA,
        "first_name": "Zoë",
        "last_name": "Lovelace",
    }
    assert (second.values["email"], second.line) == (None, 3)
    assert parsed.notes[-1] == 'Ignored columns: "Department", "Hired".'


def test_utf8_with_invalid_bytes_is_refused() -> None:
    """As Windows-1252, each letter with an accent would become two letters."""
    with pytest.raises(InvalidImport, match="not UTF-8"):
        encodings.decode("Zoë".encode() + b"\xff")
    assert encodings.decode(b"Zo\xeb").text == "Zoë"
    with pytest.raises(InvalidImport, match="cannot be read as cp1252"):
        encodings.decode(b"\x81")
    with pytest.raises(InvalidImport, match="Unknown encoding"):
        encodings.decode(b"", "hex")


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("Work E-mail;Name, first;Name, last\n", ";"),
        ("type,user;name\n", ","),
        ("user\n", ","),
        ('"a;b;c",user\n', ","),
        ("\n\nuser\temail\n", "\t"),
    ],
)
def test_delimiter_of_the_expected_headers_is_chosen(text: str, delimiter: str) -> None:
    assert tables.detect_delimiter(text, ["user", "type"]) == delimiter


def test_delimiter_line_of_a_spreadsheet_is_read() -> None:
    (row,) = ROWS.read_csv("sep=;\r\nuser;first_name\r\nada;A,B\r\n").rows
    assert (row.values["first_name"], row.line) == ("A,B", 3)


@pytest.mark.parametrize(
    ("cell", "date_format", "expected"),
    [
        ("31.12.2025", "dd.mm.yyyy", "2025-12-31"),
        ("1.2.2026", "dd.mm.yyyy", "2026-02-01"),
        ("02/01/2026", "mm/dd/yyyy", "2026-02-01"),
        ("01/02/2026", "dd/mm/yyyy", "2026-02-01"),
        ("2026-02-01", "mm/dd/yyyy", "2026-02-01"),
        ("2026-02-01 00:00:00", "yyyy-mm-dd", "2026-02-01"),
        ("01.02.2026 00:00", "dd.mm.yyyy", "2026-02-01"),
        ("01.02.2026 10:00", "dd.mm.yyyy", "01.02.2026 10:00"),
        ("31.12.2025", "mm/dd/yyyy", "31.12.2025"),
        ("tomorrow", "dd.mm.yyyy", "tomorrow"),
    ],
)
def test_dates_are_read_in_their_format(cell: str, date_format: Any, expected: str) -> None:
    assert dates.iso_date(cell, date_format) == expected


def test_time_without_offset_is_utc() -> None:
    assert dates.iso_timestamp("30.06.2026 9:05", "dd.mm.yyyy") == "2026-06-30T09:05:00Z"
    assert dates.iso_timestamp("6/30/2026", "mm/dd/yyyy") == "2026-06-30T00:00:00Z"
    assert dates.iso_timestamp("2026-06-30T22:00:00+02:00", "yyyy-mm-dd") == (
        "2026-06-30T22:00:00+02:00"
    )


def memberships(table: str, **options: Any) -> tuple[list[Any], list[str]]:
    parsed = ROWS.read_csv(
        table,
        TableOptions(
            kind="membership",
            headers={"user": "Employee ID", "team": "department", "from": "Hired"},
            **options,
        ),
    )
    return list(parsed.rows), parsed.notes


def test_rows_of_another_type_are_read_from_the_same_table() -> None:
    (row,), notes = memberships(HR, date_format="dd.mm.yyyy")
    assert row.values["team"] == "Analytics"
    assert row.values["from"].isoformat() == "2025-12-31"
    assert notes[-1] == "Rows without a value for team and organization are left out: 1."


def test_date_in_another_format_is_refused_with_a_hint() -> None:
    ((row,), _) = memberships(HR)
    assert row.violations[0].detail == (
        'expected a date such as 2026-05-08, found "31.12.2025"; '
        "choose the format of dates if it is another one"
    )
    ((row,), _) = memberships(HR, date_format="mm/dd/yyyy")
    assert row.violations[0].detail.startswith("expected a date such as 05/08/2026, found")


@pytest.mark.parametrize(
    ("options", "detail"),
    [
        ({"headers": {"email": "E-mail"}}, 'missing column "E-mail"'),
        ({"headers": {"mail": "Work E-mail"}}, 'The column "mail" cannot be mapped'),
        ({"headers": {}}, 'missing column "user". The table has the columns "Employee ID",'),
        ({"constants": {"user": "x"}, "headers": {"user": "Last"}}, "it has a header and a value"),
        ({"kind": "robot"}, 'Unknown type of rows "robot"'),
    ],
)
def test_table_that_cannot_be_mapped_is_refused(options: Any, detail: str) -> None:
    with pytest.raises(InvalidImport) as refusal:
        list(ROWS.read_csv(HR, TableOptions(**options)).rows)
    assert detail in str(refusal.value)


async def test_table_is_read_with_parameters_of_the_request(operator: Partner) -> None:
    await import_rows(operator, GROUP, TEAM | {"team": "Analytics"})
    maps = [f"{column}={header}" for column, header in MAPPED.items()]
    response = await post(operator, HR.encode("cp1252"), map=maps)
    assert response.status_code == 200, response.text
    assert response.json()["summary"] == {"received": 2, "added": 2}
    assert response.json()["notes"] == [
        "The table is read as cp1252.",
        "The table has no column type: its rows are of the type user.",
        'Ignored columns: "Department", "Hired".',
    ]
    options = {
        "type": "membership",
        "map": ["user=Employee ID", "team=Department"],
        "set": ["from=01.01.2026"],
        "dates": "dd.mm.yyyy",
        "delimiter": "semicolon",
        "encoding": "cp1252",
    }
    response = await post(operator, HR.encode("cp1252"), **options)
    assert response.json()["summary"] == {"received": 1, "added": 1}


@pytest.mark.parametrize(
    "params",
    [
        {"map": "email"},
        {"map": ["user=a", "user=b"]},
        {"set": "=x"},
        {"delimiter": ";"},
        {"dates": "iso"},
        {"merge": "yes"},
    ],
)
async def test_invalid_parameter_of_a_table_returns_400(operator: Partner, params: Any) -> None:
    response = await post(operator, HR, **params)
    assert (response.status_code, response.json()["code"]) == (400, "invalid-parameter")
    assert next(iter(params)) in response.json()["detail"]
