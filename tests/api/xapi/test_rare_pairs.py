"""A page that ends before a match because it has examined the maximum number of statements."""

from __future__ import annotations

from dataclasses import replace

import orjson

from lrs.settings import Settings
from lrs.store.statements.page_query import PageLimits
from tests.support.app import serving
from tests.support.partners import Partner
from tests.support.statements import XAPI, new_id, statement

AGENT = {"mbox": "mailto:busy@example.com"}
ACTIVITY = "http://example.com/activities/busy"


async def test_empty_page_with_a_successor_is_searched_further(
    settings: Settings, partner: Partner
) -> None:
    """Agent and activity are frequent, and together they are in the oldest statement only."""
    both = statement(id=new_id(), actor=AGENT, object={"id": ACTIVITY})
    assert (await partner.xapi(both)).status_code == 200
    others = [statement(actor=AGENT) for _ in range(60)]
    others += [statement(object={"id": ACTIVITY}) for _ in range(60)]
    assert (await partner.xapi(others)).status_code == 200
    async with serving(settings, PageLimits(max_examined_statements=7)) as http:
        response = await replace(partner, http=http).http.get(
            "/xapi/statements",
            params={"agent": orjson.dumps(AGENT).decode(), "activity": ACTIVITY, "limit": "1"},
            headers=XAPI,
            auth=(partner.key, partner.secret),
        )
    assert [item["id"] for item in response.json()["statements"]] == [both["id"]]
