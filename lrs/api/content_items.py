"""Content items, listed, deleted and restored by an operator."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from lrs.api import request_parsing
from lrs.api.responses import json_response, timestamp
from lrs.auth import scopes
from lrs.auth.authenticate import Caller
from lrs.errors import NotFound
from lrs.reports import content_items, identifiers
from lrs.reports.content_items import ContentItem
from lrs.xapi import query_params


async def get_contents(request: Request) -> Response:
    who = await _operator(request)
    given = request_parsing.parameters(request)
    asked = query_params.parse(given, _READERS, section="Contents")
    here = request_parsing.services(request)
    most = here.settings.max_page_size
    limit = min(asked.get("limit", 0) or most, most)
    found = await content_items.fetch_page(
        here.database.readers,
        who.partner_id,
        after=asked.get("cursor", 0),
        limit=limit + 1,
        deleted=asked.get("deleted"),
    )
    kept = [each for each in given if each[0] != "cursor"]
    more = _more(request, kept, found[limit - 1]) if len(found) > limit else ""
    return json_response({"contents": [_shown(each) for each in found[:limit]], "more": more})


async def delete_content(request: Request) -> Response:
    return await _set_deleted(request, deleted=True)


async def restore_content(request: Request) -> Response:
    await request_parsing.body(request, 0)
    return await _set_deleted(request, deleted=False)


async def _set_deleted(request: Request, *, deleted: bool) -> Response:
    who = await _operator(request)
    query_params.parse(request_parsing.parameters(request), {}, section="Contents")
    name: str = request.path_params["content"]
    if "\0" in name:
        raise NotFound("Content item not found.")
    meant = identifiers.parse_content(name, who.home_page)
    await content_items.set_deleted(
        request_parsing.services(request).partner_lock, who.partner_id, meant, deleted
    )
    return Response(status_code=204)


async def _operator(request: Request) -> Caller:
    who = await request_parsing.partner(request)
    scopes.require(who.scopes, scopes.ADMIN)
    return who


def _more(request: Request, given: list[tuple[str, str]], last: ContentItem) -> str:
    path = request_parsing.services(request).settings.base_path
    asked = urlencode([*given, ("cursor", str(last.content_id))])
    return f"{path}{request_parsing.raw_path(request.scope)}?{asked}"


def _shown(content: ContentItem) -> dict[str, Any]:
    return {
        "content_id": content.content_id,
        "activity_id": content.activity_id,
        "type": content.type,
        "title": content.title,
        "deleted_at": timestamp(content.deleted_at) if content.deleted_at else None,
    }


def _cursor(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ValueError("taken unchanged from a `more` of this server")
    return int(text)


_READERS = {"deleted": query_params.boolean, "limit": query_params.limit, "cursor": _cursor}
