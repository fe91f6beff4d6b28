"""Text from the database or a request in the output of commands and in the log."""

from __future__ import annotations

import ast
import json
import logging
import logging.config
from pathlib import Path

import pytest

import lrs.cli
from lrs.cli.output import sanitize
from lrs.cli.tables import cell
from lrs.observability import logs
from tests.support.cli import Lrs, new_name, refused

HOSTILE = "a\x1b[2J\x1b]0;title\x07\x9b31m\tb\nforged\trow\r\u202etxt\u2066"
ESCAPED = r"a\x1b[2J\x1b]0;title\x07\x9b31m\tb\nforged\trow\r\u202etxt\u2066"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain text, ünïcödé, 漢字, 👩‍🔬", "plain text, ünïcödé, 漢字, 👩‍🔬"),
        (HOSTILE, ESCAPED),
        ("\x00\x7f\x80\x85\u2028\u200f\udcff", r"\x00\x7f\x80\x85\u2028\u200f\udcff"),
    ],
    ids=["plain", "hostile", "controls"],
)
def test_control_characters_are_escaped(text: str, expected: str) -> None:
    assert sanitize(text) == expected


def test_lists_escape_text_of_the_database(lrs: Lrs) -> None:
    name = new_name()
    assert lrs("partner", "add", name, "--title", HOSTILE).exit_code == 0
    (row,) = [line for line in lrs("partner", "list").stdout.split("\n") if name in line]
    assert row.split("\t")[:2] == [name, ESCAPED]
    assert lrs("credential", "add", name, "--label", HOSTILE).exit_code == 0
    _, row = lrs("credential", "list", name).stdout.splitlines()
    assert row.split("\t")[5] == ESCAPED


def test_errors_and_import_outcomes_escape_text(lrs: Lrs, name: str, tmp_path: Path) -> None:
    assert "\x1b" not in refused(lrs("credential", "revoke", "x\x1b[2J"))
    path = tmp_path / "people.json"
    for row in ({"type": "user", "user": HOSTILE}, {"type": "user", "user": "x", HOSTILE: "y"}):
        path.write_text(json.dumps([row]))
        result = lrs("people", "import", name, str(path), "--preview")
        assert r"\x1b[2J" in result.output
        assert "\x1b" not in result.output
        assert "\x9b" not in result.output


def test_commands_print_with_the_sanitizing_function_only() -> None:
    (directory,) = lrs.cli.__path__
    for path in Path(directory).glob("*.py"):
        if path.name == "output.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            assert called not in ("print", "click.echo", "click.secho", "sys.stdout.write"), path


def test_log_lines_escape_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    formatter = logs.JSONFormatter("%(message)s")
    record = logging.LogRecord("lrs", logging.INFO, "", 1, HOSTILE, None, None)
    line = formatter.format(record)
    assert json.loads(line)["message"] == HOSTILE
    assert line.isprintable()


def test_mapping_in_a_table_is_printed_as_pairs() -> None:
    assert cell({"stored": 1000, "duplicate": 2}) == "stored=1000 duplicate=2"
    assert cell({}) == ""
