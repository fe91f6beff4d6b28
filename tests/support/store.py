"""Statements for the store, and queries on it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from lrs.store.postgres import Database
from lrs.store.statements import filters, page_loader
from lrs.xapi.statement_query import StatementQuery
from tests.support.statements import new_id, statement

Json = dict[str, Any]


def statement_filter(**query: Any) -> filters.Selection:
    return filters.build_filter(
        StatementQuery(100, **query), watermark=datetime.now(UTC) + timedelta(hours=1)
    )


async def list_ids(database: Database, partner_id: int, selection: filters.Selection) -> list[str]:
    page = await page_loader.PageLoader(database).load(partner_id, selection, datetime.now(UTC))
    return [str(item["id"]) for item in orjson.loads(b"[%b]" % page.statements)]


LEARNER: Json = {"mbox": "mailto:learner@example.com"}


def plain_statements(count: int) -> list[Json]:
    return [statement(id=new_id()) for _ in range(count)]


def defining_statements(count: int) -> list[Json]:
    sent = plain_statements(count)
    for number, item in enumerate(sent):
        item["actor"] = {"mbox": "mailto:ann@example.com", "name": f"Ann {new_id()}"}
        item["object"] = {
            "id": f"http://example.com/course/{number}",
            "definition": {"name": {"en": new_id()}},
        }
    return sent
