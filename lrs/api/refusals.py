"""Refused items of a partner: list, read, send again."""

from __future__ import annotations

from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from lrs.api import access, refusal_filters, refusal_views, request_parsing, urls
from lrs.api.request_record import record_of
from lrs.api.responses import json_response
from lrs.auth import scopes
from lrs.auth.authenticate import Caller
from lrs.auth.ingest_context import ingest_context
from lrs.errors import NotFound
from lrs.ingest import resubmit
from lrs.pipes.pull import refused_items
from lrs.store import refusals
from lrs.store.refusals import Refusal, RefusalFilter
from lrs.xapi import query_params

_SECTION = "Refusals"
_MAX_PAGE_SIZE = 100
_WRITE_SCOPES = {"track": scopes.TRACK_WRITE}


async def get_refusals(request: Request) -> Response:
    caller = await access.authenticate_partner(request)
    services = request_parsing.services(request)
    query = query_params.parse(
        request_parsing.query_parameters(request), _PARSERS, section=_SECTION
    )
    limit = min(query.pop("limit", 0) or _MAX_PAGE_SIZE, _MAX_PAGE_SIZE)
    before = query.pop("cursor", None)
    selection = RefusalFilter(**{**query, **_visible(caller)})
    await services.ledger.write_refusals(caller.partner_id)
    page = await refusals.fetch_page(
        services.database, caller.partner_id, selection, before=before, limit=limit + 1
    )
    more = urls.next_page(request, str(page[limit - 1].refusal_id)) if len(page) > limit else ""
    return json_response(
        {"refusals": [refusal_views.serialize(item) for item in page[:limit]], "more": more}
    )


async def get_refusal(request: Request) -> Response:
    refusal = await _find(request, await access.authenticate_partner(request))
    query_params.reject_all(request_parsing.query_parameters(request), section=_SECTION)
    return json_response(refusal_views.serialize_with_item(refusal))


async def resubmit_refusal(request: Request) -> Response:
    caller = await access.authenticate_partner(request)
    query_params.reject_all(request_parsing.query_parameters(request), section=_SECTION)
    refusal = await _find(request, caller)
    scopes.require(caller.scopes, _WRITE_SCOPES.get(refusal.source, scopes.STATEMENTS_WRITE))
    services = request_parsing.services(request)
    body = await request_parsing.read_body(request, services.settings.max_body_bytes)
    if body:
        request_parsing.require_json(request)
    context = ingest_context(caller, None, None, source=refusal.source)
    resubmission = await refused_items.resubmit(
        services.pipeline, services.database, services.settings, refusal, context, body or None
    )
    record_of(request.scope).outcomes = resubmission.outcomes
    return refusal_views.resubmission_response(resubmission)


async def _find(request: Request, caller: Caller) -> Refusal:
    """The refusal in the path. Raises NotFound, also for one that the caller may not read."""
    refusal_id = refusal_views.refusal_id(request)
    services = request_parsing.services(request)
    await services.ledger.write_refusals(caller.partner_id)
    refusal = await resubmit.find(services.database, caller.partner_id, refusal_id)
    own = _visible(caller)
    if own and refusal.credential != own["credential"]:
        raise NotFound(f"Refusal {refusal_id} not found.")
    return refusal


def _visible(caller: Caller) -> dict[str, str]:
    """The selection of the caller's own refusals, or none if it reads all statements."""
    return {} if scopes.STATEMENTS_READ in caller.scopes else {"credential": caller.key}


def _cursor(text: str) -> UUID:
    try:
        return UUID(query_params.uuid(text))
    except ValueError:
        raise ValueError("a cursor from `more`, unchanged") from None


_PARSERS = {
    **refusal_filters.PARSERS,
    "limit": query_params.limit,
    "cursor": _cursor,
}
