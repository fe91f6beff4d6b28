"""The reporting docs describe every table and column; the settings they name exist."""

from __future__ import annotations

import re

import click
import pytest

from lrs import resources
from lrs.reports.table_model import Table
from lrs.reports.tables import REPORTS, STATEMENTS
from lrs.settings import settings_schema
from tests.support.commands import option_names, resolve
from tests.support.files import DOCS

PAGES = ("reporting", "people", "learner-records", "report-tables", "bi-tools", "exports")
DOCUMENT = "\n".join((DOCS / f"{page}.md").read_text(encoding="utf-8") for page in PAGES)


def section(title: str, level: str = "##") -> str:
    result = re.search(
        rf"^{level} {title}\n(.*?)(?=^#{{2,{len(level)}}} |\Z)", DOCUMENT, re.MULTILINE | re.DOTALL
    )
    assert result, title
    return result[1]


def rows(text: str) -> list[list[str]]:
    """The cells of a table's rows, without the header."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def test_every_table_has_a_section() -> None:
    titles = re.findall(r"^### (\w+)$", section("Where each column comes from"), re.MULTILINE)
    assert titles == [table.name for table in REPORTS]


@pytest.mark.parametrize("table", REPORTS, ids=lambda table: table.name)
def test_every_column_has_type_and_source(table: Table) -> None:
    reported = rows(section(table.name, "###"))
    expected = [(f"`{column.name}`", column.type) for column in table.columns]
    assert [(name, type_) for name, type_, _ in reported] == expected
    assert all(source for _, _, source in reported)


def test_column_comments_in_the_database_match_the_document() -> None:
    """Without Markdown, which business intelligence tools would show as text."""
    message = re.findall(
        r"^comment on column (\w+)\.(\w+) is '((?:[^']|'')*)';$",
        resources.sql_file("report_comments"),
        re.MULTILINE,
    )
    assert [(table, column, text.replace("''", "'")) for table, column, text in message] == [
        (table.name, name.strip("`"), re.sub("[`*]", "", source))
        for table in REPORTS
        for name, _, source in rows(section(table.name, "###"))
    ]


def test_columns_of_statements_are_documented() -> None:
    text = section("Statements", "###")
    reported = rows(text[text.index("| column |") :].partition("\n\n")[0])
    names = [(name, type_) for cell, type_, _ in reported for name in re.findall(r"`(\w+)`", cell)]
    assert sorted(names) == sorted((column.name, column.type) for column in STATEMENTS.columns)


COMMANDS = sorted(set(re.findall(r"^lrs .*?(?=  #|$)", DOCUMENT, re.MULTILINE)))


@pytest.mark.parametrize("line", COMMANDS)
def test_documented_commands_exist(line: str) -> None:
    command, words = resolve(line.split()[1:])
    assert not isinstance(command, click.Group)
    assert {word for word in words if word.startswith("--")} <= option_names(command)


def test_documented_settings_exist() -> None:
    existing = {f"LRS_{name.upper()}" for name in settings_schema()}
    client = {"LRS_URL", "LRS_PARTNER", "LRS_KEY", "LRS_SECRET"}
    assert set(re.findall(r"LRS_[A-Z_]*[A-Z]", DOCUMENT)) <= existing | client
