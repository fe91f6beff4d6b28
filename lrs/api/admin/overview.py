"""The overview of partners, for operators."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from lrs.admin import overview
from lrs.api.admin.access import authenticate_operator
from lrs.api.admin.responses import json, list_query, next_page
from lrs.api.request_parsing import services
from lrs.xapi import query_params


async def get_overview(request: Request) -> Response:
    operator = await authenticate_operator(request)
    query = list_query(request, {"partner": query_params.text})
    database = services(request).admin_database
    partners = await overview.list_overview(
        database,
        operator,
        partner=query.filters.get("partner"),
        cursor=query.cursor,
        limit=query.limit,
    )
    server = await overview.server_state(database, operator, services(request).settings)
    more = next_page(request, partners)
    return json({"partners": partners.items, "server": server, "more": more})
