"""People import: outcome of each row, and invalid imports."""

from __future__ import annotations

import re
from typing import Any

import pytest

from lrs.api import imports
from lrs.imports import writer
from lrs.people import rows
from tests.support.partners import Partner
from tests.support.people_import import (
    ADA,
    COURSE,
    DOCUMENT,
    GROUP,
    TEAM,
    identifier,
    import_rows,
    membership,
    outcomes,
    post,
    preview,
    refused,
    user,
)

# Outcomes of rows


async def test_documented_example_is_idempotent(operator: Partner) -> None:
    example, _ = re.findall(r"```csv\n(.*?)```", DOCUMENT, re.DOTALL)
    lines = len(example.splitlines()) - 1
    expected = await preview(operator, example)
    assert {item["outcome"] for item in expected} == {"added"}
    taken = await import_rows(operator, example)
    assert taken["results"] == expected
    assert taken["summary"] == {"received": lines, "added": lines}
    again = await import_rows(operator, example)
    assert again["summary"] == {"received": lines, "unchanged": lines}


async def test_long_table_is_written_in_batches(
    operator: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL takes no more than a quarter of a GB of JSON at once."""
    monkeypatch.setattr(writer, "_ROWS_PER_QUERY", 2)
    rows_sent = [GROUP, *(user(name, email=f"{name}@example.com") for name in "abcde")]
    rows_sent += [membership(name, "2026-01-01", organization="north") for name in "abcde"]
    assert (await import_rows(operator, *rows_sent))["summary"] == {"received": 11, "added": 11}
    assert (await import_rows(operator, *rows_sent))["summary"] == {"received": 11, "unchanged": 11}


async def test_import_beyond_the_row_limit_returns_413(
    operator: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "MAX_ROWS", 2)
    assert (await post(operator, "type,user\nuser,a\nuser,b\n")).status_code == 200
    for body in ("type,user\nuser,a\nuser,b\nuser,c\n", [user(item) for item in "abc"]):
        answer = await post(operator, body)
        assert (answer.status_code, answer.json()["code"]) == (413, "too-large")


async def test_columns_of_every_row_type_are_documented() -> None:
    for kind in rows.KINDS:
        (line,) = re.findall(rf"^\| `{kind}` \| (.*?) \|", DOCUMENT, re.MULTILINE)
        assert ("type", *re.findall(r"`(\w+)`", line)) == rows.ROWS.columns(kind)


async def test_rows_are_accepted_in_any_order(operator: Partner) -> None:
    rows_sent = [
        membership("ada", "2026-01-01", team="analytics"),
        TEAM | {"organization": "north"},
        identifier("ada", "track", "7f0c"),
        GROUP,
        user("ada"),
    ]
    assert set(outcomes(await import_rows(operator, *rows_sent))) == {"added"}


async def test_empty_cell_clears_and_missing_column_keeps_the_value(operator: Partner) -> None:
    await import_rows(operator, user("ada", email=ADA, first_name="Ada"))
    answer = await import_rows(operator, "type,user,last_name\nuser,ada,Lovelace\n")
    assert answer["results"][0]["outcome"] == "changed"
    assert answer["results"][0]["changes"] == ["last_name"]
    answer = await import_rows(operator, "type,user,first_name,email\nuser,ada,,ada@example.com\n")
    assert answer["results"][0]["changes"] == ["first_name"]
    (answer,) = await preview(operator, user("ada", first_name=None, last_name="Lovelace"))
    assert answer["outcome"] == "unchanged"


async def test_columns_without_name_or_values_are_ignored(operator: Partner) -> None:
    """Spreadsheets write such columns."""
    answer = await import_rows(operator, "\ufefftype,user,,\r\nuser,ada,,\r\n,,,\r\n")
    assert outcomes(answer) == ["added"]
    ((index, pointer, _),) = [
        (item["index"], error["pointer"], error["detail"])
        for item in await preview(operator, "type,user,,\nuser,ada,,x\n")
        for error in item["errors"]
    ]
    assert (index, pointer) == (0, "/")


async def test_repeated_row_is_unchanged(operator: Partner) -> None:
    answer = await import_rows(operator, user("ada", email=ADA), user("ada", email=ADA))
    assert outcomes(answer) == ["added", "unchanged"]


async def test_every_invalid_row_is_reported_by_line_and_column(operator: Partner) -> None:
    table = """type,user,email,from,organization
user,ada,ada@example.com
user,"two
lines",nobody
membership,ada,,2026-02-30,north
robot,x
user,ben,ben@example.com,,,surplus
group
"""
    answer = await post(operator, table)
    violations = [
        (item["line"], item["type"], error["pointer"], error["detail"])
        for item in answer.json()["results"]
        for error in item["errors"]
    ]
    assert [item[:3] for item in violations] == [
        (3, "user", "/email"),
        (3, "user", "/user"),
        (5, "membership", "/from"),
        (6, None, "/type"),
        (7, "user", ""),
        (8, "group", "/organization"),
    ]
    assert violations[0][3] == (
        'expected an email address such as learner@example.com, or no value, found "nobody"'
    )
    assert violations[-1][3].endswith(", found no value")
    assert answer.json()["detail"].startswith("line 3, email: expected an email address")
    assert answer.json()["detail"].endswith("(and 4 more rows)")
    # The valid rows are not imported.
    assert (await preview(operator, user("ada", email=ADA)))[0]["outcome"] == "added"


@pytest.mark.parametrize(
    ("table", "detail"),
    [
        ("", "missing column 'type'"),
        ("type,user,user,User\n", 'repeated column "user"'),
        ("email,name\n", 'missing column "user"'),
        ('type,user\nuser,"ada\n', "Invalid CSV at line 2"),
    ],
)
async def test_unreadable_table_is_refused(operator: Partner, table: str, detail: str) -> None:
    answer = await post(operator, table)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-import")
    assert detail.replace("'", '"') in answer.json()["detail"]


@pytest.mark.parametrize(
    ("rows_sent", "expected"),
    [
        (
            [user("ada"), user("ada", email=ADA)],
            (1, "/email", "expected the same value as in row 0, which has the same key"),
        ),
        (
            [user("ada", email=ADA), user("ben"), identifier("ben", "mbox", f"mailto:{ADA}")],
            (2, "/value", "expected an identifier of one user only, found that of "
             '"ada" in row 0'),
        ),
        (
            [identifier("nobody", "track", "x")],
            (0, "/user", 'expected an existing user or one of this import, found "nobody"'),
        ),
        (
            [user("ada"), membership("ada", "2026-01-01", organization="north")],
            (1, "/organization", 'expected an existing group or one of this import, found "north"'),
        ),
        (
            [user("ada"), membership("ada", "2026-01-01")],
            (1, "/team", "expected either a team or an organization"),
        ),
        (
            [user("ada"), GROUP, membership("ada", "2026-01-02", "2026-01-01",
                                            organization="north")],
            (2, "/to", 'expected a date not before "2026-01-02", found "2026-01-01"'),
        ),
        (
            [user("ada"), identifier("ada", "account", "x")],
            (1, "", 'the member "home_page" is missing'),
        ),
        (
            [user("ada"), identifier("ada", "track", "x", home_page="http://example.com")],
            (1, "/home_page", "expected no value, because only an account has a home page, found "
             '"http://example.com"'),
        ),
        (
            [user("ada"), {"type": "assignment", "assignment": "a", "assignment_type": "course",
             "assignee_type": "team", "assignee": "ada", "content": COURSE}],
            (1, "/assignee", 'expected an existing team or one of this import, found "ada"'),
        ),
        ([user("ada", email=f"mailto:{ADA}")], (0, "/email", "expected an email address such as")),
        ([user("a" * 256)], (0, "/user", "expected a string of 1 to 255 characters")),
        ([user("a\0")], (0, "/user", "expected a string of 1 to 255 characters")),
        (["user"], (0, "", 'expected a row (an object), found "user"')),
    ],
)  # fmt: skip
async def test_invalid_row_is_refused(
    operator: Partner, rows_sent: list[Any], expected: tuple[int, str, str]
) -> None:
    (violation,) = await refused(operator, *rows_sent)
    assert violation[:2] == expected[:2]
    assert violation[2].startswith(expected[2])
