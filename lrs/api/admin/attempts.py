"""Denied requests, for operators."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from lrs.admin import attempt_advice, refusals
from lrs.admin.views import Page, decode_cursor, page
from lrs.api import urls
from lrs.api.admin.access import authenticate_operator
from lrs.api.admin.responses import list_query, list_response
from lrs.api.request_parsing import services


class _AttemptPosition(NamedTuple):
    last_at: datetime
    attempt_hash: bytes


async def get_attempts(request: Request) -> Response:
    """Denied requests of the partner in the path, or those that name no partner."""
    operator = await authenticate_operator(request)
    query = list_query(request)
    before = decode_cursor(query.cursor, _AttemptPosition) if query.cursor else None
    rows = await refusals.list_attempts(
        services(request).admin_database,
        operator,
        request.path_params.get("partner"),
        before=before,
        limit=query.limit + 1,
    )
    attempt_page = page(rows, query.limit, lambda row: (row.last_at, row.attempt_hash))
    base_url, partner = urls.base_url(request), request.path_params.get("partner", "{partner}")
    items = [attempt_advice.describe(row, base_url, partner) for row in attempt_page.items]
    return list_response(request, "attempts", Page(items, attempt_page.cursor))
