"""`lrs people import`."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from tests.support.files import DOCS
from tests.support.partners import Partner

TABLE = """type,user,email,from,organization
user,ada,ada@example.com
user,ben,
group,,,,north
membership,ada,,2026-01-01,north
"""


Import = Callable[..., Result]


@pytest.fixture
def import_file(partner: Partner, run: Callable[..., Result], tmp_path: Path) -> Import:
    """Imports a file with this content."""

    def imported(content: bytes | str, *options: str, name: str = "people.csv") -> Result:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return run("people", "import", partner.name, str(path), *options)

    return imported


async def test_repeated_import_of_a_table_is_idempotent(import_file: Import) -> None:
    async def output(table: str, *options: str) -> str:
        done = await asyncio.to_thread(import_file, table, *options)
        assert done.exit_code == 0, done.output
        return done.stdout

    assert await output(TABLE, "--preview") == (
        "line 2\tuser\tada\tadded\n"
        "line 3\tuser\tben\tadded\n"
        "line 4\tgroup\tnorth\tadded\n"
        "line 5\tmembership\tada\tadded\n"
        "4 rows: 4 added\n"
    )
    assert await output(TABLE) == "4 rows: 4 added\n"
    assert await output(TABLE) == "4 rows: 4 unchanged\n"
    assert await output(TABLE.replace("ben,", "ben,ben@example.com"), "--preview") == (
        "line 3\tuser\tben\tchanged\temail\n4 rows: 1 changed, 3 unchanged\n"
    )


@pytest.mark.parametrize("options", [[], ["--preview"]])
async def test_refused_row_is_reported_and_nothing_is_imported(
    import_file: Import, options: list[str]
) -> None:
    done = await asyncio.to_thread(import_file, TABLE.replace("2026-01-01", "tomorrow"), *options)
    assert done.exit_code == 1
    detail = 'from: expected a date such as 2026-05-08, found "tomorrow"'
    assert f"line 5\tmembership\tada\trefused\t{detail}" in done.stderr
    assert done.stderr.endswith("No row was imported: at least one is invalid.\n")
    assert done.stdout.endswith("4 rows: 3 added, 1 refused\n")
    assert "Writing" not in done.stderr


async def test_progress_is_printed_only_when_rows_are_written(import_file: Import) -> None:
    first = await asyncio.to_thread(import_file, TABLE)
    again = await asyncio.to_thread(import_file, TABLE)
    assert ["Writing" in done.stderr for done in (first, again)] == [True, False]


async def test_json_array_is_imported(import_file: Import) -> None:
    rows = json.dumps([{"type": "user", "user": "ada"}])
    done = await asyncio.to_thread(import_file, rows, name="people.json")
    assert done.stdout == "1 row: 1 added\n"


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("people.csv", b"name\nada\n", 'missing column "user"'),
        ("people.csv", "type,Zoë\n".encode() + b"\xff\n", "The table is not UTF-8"),
        ("people.json", b"{", "Invalid JSON"),
        ("people.json", b"{}", "must be an array of rows"),
    ],
)
async def test_unreadable_file_is_reported(
    import_file: Import, name: str, content: bytes, sentence: str
) -> None:
    done = await asyncio.to_thread(import_file, content, name=name)
    assert done.exit_code == 1
    assert sentence in done.stderr


async def test_documented_table_of_another_system_is_imported(import_file: Import) -> None:
    """With the options in docs/people.md."""
    document = (DOCS / "people.md").read_text(encoding="utf-8")
    _, table = re.findall(r"```csv\n(.*?)```", document, re.DOTALL)
    commands = [
        shlex.split(command)[5:]
        for command in re.findall(
            r"^lrs people import acme hr.csv (?:.|\\\n)*",
            document.replace("\\\n", " "),
            re.MULTILINE,
        )
    ]
    done = [await asyncio.to_thread(import_file, table, *options) for options in commands]
    assert [item.stdout for item in done] == [
        "2 rows: 2 added\n",
        "1 row: 1 added\n",
        "1 row: 1 added\n",
    ]
    assert 'Ignored columns: "Department", "Hired".' in done[0].stderr
    assert "are left out: 1." in done[1].stderr
    assert "are left out: 1." in done[2].stderr
    again = await asyncio.to_thread(import_file, table, *commands[0])
    assert again.stdout == "2 rows: 2 unchanged\n"


async def test_identifier_of_another_user_needs_the_option_merge(import_file: Import) -> None:
    await asyncio.to_thread(import_file, TABLE)
    other = "type,user,email\nuser,cyd,ada@example.com\n"
    refusal = await asyncio.to_thread(import_file, other, "--preview")
    assert refusal.exit_code == 1
    assert "email: expected an identifier of no other learner" in refusal.stderr
    done = await asyncio.to_thread(import_file, other, "--merge")
    assert done.stdout == "1 row: 1 added\n"


@pytest.mark.parametrize("option", [("--map", "email"), ("--set", "=x"), ("--delimiter", ";")])
async def test_invalid_table_option_is_refused(
    import_file: Import, option: tuple[str, str]
) -> None:
    done = await asyncio.to_thread(import_file, TABLE, *option)
    assert done.exit_code != 0
    assert option[0] in done.stderr
