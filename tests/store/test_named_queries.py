"""Named queries: each has the documented form, is valid against the schema, and is used."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import lrs
from lrs import resources
from lrs.api.services import Services
from lrs.reports.tables import REPORTS
from tests.support.plans import explained

FILES = [
    path
    for path in sorted(resources.directory("sql").glob("*.sql"))
    if path.stem not in ("schema", "report_comments")
]
QUERY = re.compile(
    r"""
    --\ name:\ \w+\n
    (--.*\n)+            # why it exists, or what it guarantees
    (?!--)(?:.*\S.*\n)+  # the query, without blank lines
    \n?
    """,
    re.VERBOSE,
)
PREPARABLE = re.compile(r"^(with|select|insert|update|delete)\b", re.MULTILINE)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_query_file_has_the_documented_form(path: Path) -> None:
    head, *queries = re.split(r"^(?=-- name: )", path.read_text(), flags=re.MULTILINE)
    assert re.fullmatch(r"(--.*\n)+\n", head)
    assert queries
    for query in queries:
        assert QUERY.fullmatch(query), query
        assert query.rstrip().endswith(";")
        assert query.count(";\n") == 1, query
        assert max(map(len, query.splitlines())) <= 100, query


@pytest.mark.parametrize("name", resources.queries())
async def test_named_query_can_be_planned(services: Services, name: str) -> None:
    """PREPARE and EXPLAIN succeed, with the types of parameters inferred from the query alone."""
    query = resources.query(name)
    async with services.database.readers.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        try:
            if "extracted_event" in query and name != "create_extracted_events":
                await connection.execute(resources.query("create_extracted_events"))
            if name == "cluster_extracted_events":
                await connection.execute(resources.query("index_extracted_events"))
            if PREPARABLE.search(query):
                await connection.execute("set local plan_cache_mode = force_generic_plan")
                count = len(set(re.findall(r"\$\d+", query)))
                assert await explained(connection, query, ["null"] * count)
            else:  # a command without parameters
                await connection.execute(query)
        finally:
            await transaction.rollback()


def test_every_named_query_is_used() -> None:
    source = "\n".join(path.read_text() for path in Path(lrs.__file__).parent.rglob("*.py"))
    report_tables = {table.name for table in REPORTS}
    unused = {name for name in resources.queries() if f'"{name}"' not in source}
    assert unused - report_tables == set()
    assert report_tables <= set(resources.queries())
