"""Content items of the reports: list, delete and restore (scope `admin`)."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from lrs.api import access, request_parsing, urls
from lrs.api.audited import audited
from lrs.api.responses import json_response, timestamp
from lrs.auth import scopes
from lrs.errors import NotFound
from lrs.reports import content_items, identifiers
from lrs.reports.content_items import ContentItem
from lrs.xapi import query_params

_SECTION = "Contents"


async def get_contents(request: Request) -> Response:
    caller = await access.authorize_partner(request, scopes.ADMIN)
    services = request_parsing.services(request)
    query = query_params.parse(
        request_parsing.query_parameters(request), _PARSERS, section=_SECTION
    )
    max_limit = services.settings.max_page_size
    limit = min(query.get("limit", 0) or max_limit, max_limit)
    items = await content_items.fetch_page(
        services.database.readers,
        caller.partner_id,
        after=query.get("cursor", 0),
        limit=limit + 1,
        deleted=query.get("deleted"),
    )
    more = urls.next_page(request, str(items[limit - 1].content_id)) if len(items) > limit else ""
    return json_response({"contents": [_serialize(item) for item in items[:limit]], "more": more})


@audited("content.delete")
async def delete_content(request: Request) -> Response:
    return await _set_deleted(request, deleted=True)


@audited("content.restore")
async def restore_content(request: Request) -> Response:
    await request_parsing.read_body(request, 0)
    return await _set_deleted(request, deleted=False)


async def _set_deleted(request: Request, *, deleted: bool) -> Response:
    caller = await access.authorize_partner(request, scopes.ADMIN)
    query_params.parse(request_parsing.query_parameters(request), {}, section=_SECTION)
    name: str = request.path_params["content"]
    if "\0" in name:
        raise NotFound("Content item not found.")
    identifier = identifiers.parse_content(name, caller.home_page)
    partner_lock = request_parsing.services(request).partner_lock
    await content_items.set_deleted(partner_lock, caller.partner_id, identifier, deleted)
    return Response(status_code=204)


def _serialize(item: ContentItem) -> dict[str, Any]:
    return {
        "content_id": item.content_id,
        "activity_id": item.activity_id,
        "type": item.type,
        "title": item.title,
        "deleted_at": timestamp(item.deleted_at) if item.deleted_at else None,
        "alias_of": item.alias_of,
    }


_PARSERS = {
    "deleted": query_params.boolean,
    "limit": query_params.limit,
    "cursor": query_params.id_cursor,
}
