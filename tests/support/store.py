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


def asked(**query: Any) -> filters.Selection:
    return filters.build_filter(
        StatementQuery(100, **query), watermark=datetime.now(UTC) + timedelta(hours=1)
    )


async def listed(database: Database, partner_id: int, selection: filters.Selection) -> list[str]:
    page = await page_loader.PageLoader(database).load(partner_id, selection, datetime.now(UTC))
    return [str(each["id"]) for each in orjson.loads(b"[%b]" % page.statements)]


LEARNER: Json = {"mbox": "mailto:learner@example.com"}


def plain(count: int) -> list[Json]:
    return [statement(id=new_id()) for _ in range(count)]


def telling(count: int) -> list[Json]:
    sent = plain(count)
    for number, each in enumerate(sent):
        each["actor"] = {"mbox": "mailto:ann@example.com", "name": f"Ann {new_id()}"}
        each["object"] = {
            "id": f"http://example.com/course/{number}",
            "definition": {"name": {"en": new_id()}},
        }
    return sent
