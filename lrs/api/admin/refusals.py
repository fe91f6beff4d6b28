"""Refused items of partners, for operators: list, reasons, send again, drop."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from lrs.admin import refusals
from lrs.admin.partners import find_partner
from lrs.admin.views import Page, decode_cursor, page
from lrs.api import refusal_filters, refusal_views, request_parsing
from lrs.api.admin.access import authenticate_operator
from lrs.api.admin.responses import json, list_query, list_response, no_query
from lrs.api.request_parsing import services
from lrs.auth.operators import Operator
from lrs.store.refusals import RefusalFilter
from lrs.xapi import query_params

_REASONS_HOURS = 24


async def get_reasons(request: Request) -> Response:
    operator = await authenticate_operator(request)
    query = query_params.parse(
        request_parsing.query_parameters(request),
        {"since": query_params.timestamp},
        section="Admin API",
    )
    since = query.get("since") or datetime.now(UTC) - timedelta(hours=_REASONS_HOURS)
    reasons = await refusals.list_reasons(
        services(request).admin_database, operator, request.path_params["partner"], since
    )
    return list_response(request, "reasons", Page([*reasons], None))


async def get_refusals(request: Request) -> Response:
    operator = await authenticate_operator(request)
    query = list_query(request, refusal_filters.PARSERS)
    (before,) = decode_cursor(query.cursor, tuple[UUID]) if query.cursor else (None,)
    partner = await _flushed_partner(request, operator)
    rows = await refusals.list_refusals(
        services(request).admin_database,
        operator,
        partner,
        RefusalFilter(**query.filters),
        before=before,
        limit=query.limit + 1,
    )
    refusal_page = page(rows, query.limit, lambda row: (row.refusal_id,))
    return list_response(
        request,
        "refusals",
        Page(list(map(refusal_views.serialize, refusal_page.items)), refusal_page.cursor),
    )


async def get_refusal(request: Request) -> Response:
    operator = await authenticate_operator(request)
    no_query(request)
    partner = await _flushed_partner(request, operator)
    refusal = await refusals.get_refusal(
        services(request).admin_database, operator, partner, refusal_views.refusal_id(request)
    )
    return json(refusal_views.serialize_with_item(refusal))


async def resubmit_refusal(request: Request) -> Response:
    operator = await authenticate_operator(request)
    no_query(request)
    partner = await _flushed_partner(request, operator)
    used = services(request)
    body = await request_parsing.read_body(request, used.settings.max_body_bytes)
    if body:
        request_parsing.require_json(request)
    resubmission = await refusals.resubmit_refusal(
        used.database,
        operator,
        used.pipeline,
        used.settings,
        partner,
        refusal_views.refusal_id(request),
        body or None,
    )
    return refusal_views.resubmission_response(resubmission)


async def delete_refusal(request: Request) -> Response:
    operator = await authenticate_operator(request)
    no_query(request)
    partner = await _flushed_partner(request, operator)
    await refusals.drop_refusal(
        services(request).admin_database, operator, partner, refusal_views.refusal_id(request)
    )
    return Response(status_code=204)


async def _flushed_partner(request: Request, operator: Operator) -> str:
    """The partner in the path, after this worker has written its refusals. Raises NotFound."""
    name: str = request.path_params["partner"]
    partner = await find_partner(services(request).admin_database, operator, name)
    await services(request).ledger.write_refusals(partner.partner_id)
    return name
