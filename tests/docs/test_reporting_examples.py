"""The example queries of docs/reporting.md: SQL with the role, pandas, and DuckDB on files."""

from __future__ import annotations

import asyncio
import datetime
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import duckdb
import pytest
from click.testing import Result

from lrs.api.services import Services
from tests.support.doc_examples import blocks
from tests.support.files import DOCS
from tests.support.learning_history import project_all
from tests.support.partners import Partner
from tests.support.reports import evaluated

PAGE = DOCS / "reporting.md"
EXAMPLES = [
    (language, code, output)
    for language, code, output in re.findall(
        r"^```(sql|python)\n((?:(?!```).)*?)^```\n\n```text\n(.*?)^```",
        PAGE.read_text(encoding="utf-8"),
        re.DOTALL | re.MULTILINE,
    )
]
QUERIES = [(code, output) for language, code, output in EXAMPLES if language == "sql"]


@pytest.fixture
async def example_partner(
    services: Services, partner: Partner, run: Callable[..., Result], tmp_path: Path
) -> Partner:
    """A partner with the people and the statements of the page."""
    people = tmp_path / "people.csv"
    people.write_text(blocks(PAGE, "csv")[0])
    imported = await asyncio.to_thread(run, "people", "import", partner.name, str(people))
    assert imported.exit_code == 0, imported.output
    (statements,) = [block for block in blocks(PAGE, "json") if '"actor"' in block]
    response = await partner.send(statements.encode(), organization="north")
    assert response.status_code == 200, response.text
    await project_all(services, partner.partner_id)
    return partner


def as_text(columns: list[str], rows: list[tuple[Any, ...]]) -> str:
    """Rows as the page shows them: aligned columns, nothing for null."""
    lines = [columns, *([cell(value) for value in row] for row in rows)]
    widths = [max(len(line[number]) for line in lines) for number in range(len(columns))]
    return "".join(
        " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        + "\n"
        for line in lines
    )


def cell(value: Any) -> str:
    if isinstance(value, datetime.datetime | datetime.date):
        return value.isoformat()
    return "" if value is None else str(value)


@pytest.mark.slow
async def test_sql_examples_have_the_documented_output(
    example_partner: Partner, run: Callable[..., Result], tmp_path: Path
) -> None:
    """With the role in PostgreSQL, and in DuckDB on exported Parquet files."""
    granted = await asyncio.to_thread(run, "reports", "grant", example_partner.name)
    url = granted.stdout.rpartition("url")[2].strip()
    exported = await asyncio.to_thread(run, "export", example_partner.name, str(tmp_path / "out"))
    assert exported.exit_code == 0, exported.output
    assert len(QUERIES) == 3
    connection = await asyncpg.connect(url)
    try:
        for query, output in QUERIES:
            prepared = await connection.prepare(query)
            columns = [item.name for item in prepared.get_attributes()]
            rows = [tuple(row) for row in await prepared.fetch()]
            assert as_text(columns, rows) == output, query
    finally:
        await connection.close()
        await asyncio.to_thread(run, "reports", "revoke", example_partner.name)
    with duckdb.connect() as files:
        files.execute("set timezone = 'UTC'")
        for path in (tmp_path / "out").glob("*.parquet"):
            files.execute(f"create view {path.stem} as from '{path}'")
        for query, output in QUERIES:
            result = files.execute(query)
            columns = [column[0] for column in result.description]
            assert as_text(columns, result.fetchall()) == output, query


@pytest.mark.slow
async def test_pandas_example_has_the_documented_output(
    example_partner: Partner, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ((_, code, output),) = [item for item in EXAMPLES if item[0] == "python"]
    values = (server, example_partner.name, example_partner.key, example_partner.secret)
    for name, value in zip(("URL", "PARTNER", "KEY", "SECRET"), values, strict=True):
        monkeypatch.setenv(f"LRS_{name}", value)
    frame = await asyncio.to_thread(evaluated, code)
    assert frame.to_string(index=False) + "\n" == output
