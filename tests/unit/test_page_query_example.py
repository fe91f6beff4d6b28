"""The example in the docstring of the page query."""

from __future__ import annotations

from datetime import UTC, datetime
from textwrap import dedent

from lrs.store.statements import page_query
from lrs.store.statements.filters import build_filter
from lrs.xapi.statement_query import StatementQuery

REGISTRATION = "11111111-2222-4333-8444-555555555555"


def test_docstring_shows_the_sql_of_a_registration_and_an_authority() -> None:
    statement_filter = build_filter(
        StatementQuery(100, registration=REGISTRATION),
        watermark=datetime(2030, 1, 1, tzinfo=UTC),
        authority_key=1,
    )
    sql, _ = page_query.build_page_query(1, statement_filter)
    docstring = str(page_query.__doc__)
    start = docstring.index("    -- $1 partner_id")
    end = docstring.index("Its plan, by")
    assert dedent(docstring[start:end]).strip() == sql
