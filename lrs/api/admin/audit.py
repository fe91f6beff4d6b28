"""The audit log."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from lrs.admin import audit
from lrs.api.admin.access import authenticate_operator
from lrs.api.admin.responses import list_query, list_response
from lrs.api.request_parsing import services
from lrs.xapi import query_params

_FILTERS: dict[str, query_params.Parser] = {
    "partner": query_params.text,
    "operator": query_params.text,
    "action": query_params.text,
    "object": query_params.text,
    "since": query_params.timestamp,
}


async def get_audit(request: Request) -> Response:
    operator = await authenticate_operator(request)
    query = list_query(request, _FILTERS)
    page = await audit.list_entries(
        services(request).admin_database,
        operator,
        partner=query.filters.get("partner"),
        by=query.filters.get("operator"),
        action=query.filters.get("action"),
        subject=query.filters.get("object"),
        since=query.filters.get("since"),
        cursor=query.cursor,
        limit=query.limit,
    )
    return list_response(request, "entries", page)
