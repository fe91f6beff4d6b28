"""Aliases of content items (scope `admin`): list, set, and import of a map; with preview."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from lrs.api import access, content_coding, request_parsing, time_limit
from lrs.api.audited import audited
from lrs.api.responses import json_response
from lrs.auth import scopes
from lrs.errors import InvalidParameter, NotFound, UnsupportedMediaType, Violation
from lrs.imports import alias_map
from lrs.reports import content_aliases
from lrs.reports.content_aliases import AliasChange, NamedContent
from lrs.xapi import query_params, strict_json
from lrs.xapi.validation_messages import excerpt

_SECTION = "Contents"
_MAX_ALIASES = 1000


async def get_aliases(request: Request) -> Response:
    caller = await access.authorize_partner(request, scopes.ADMIN)
    query_params.parse(request_parsing.query_parameters(request), {}, section=_SECTION)
    content, aliases = await content_aliases.fetch_aliases(
        request_parsing.services(request).database.readers,
        caller.partner_id,
        caller.home_page,
        _content(request),
    )
    return json_response({**_serialize(content), "aliases": [_serialize(item) for item in aliases]})


@audited("content.link")
async def put_aliases(request: Request) -> Response:
    caller = await access.authorize_partner(request, scopes.ADMIN)
    is_preview = _is_preview(request)
    names = _names(await _read(request, caller.partner_id))
    changes = await content_aliases.link(
        request_parsing.services(request).partner_lock,
        caller.partner_id,
        caller.home_page,
        {_content(request): names},
        exactly=True,
        preview=is_preview,
    )
    return _response(changes, is_preview=is_preview)


@audited("content.link")
async def post_aliases(request: Request) -> Response:
    caller = await access.authorize_partner(request, scopes.ADMIN)
    is_preview = _is_preview(request)
    media_type = request_parsing.media_type(request)
    if media_type not in ("text/csv", request_parsing.JSON):
        raise UnsupportedMediaType(
            f"The Content-Type must be text/csv or application/json, not {media_type!r}."
        )
    body = await _read(request, caller.partner_id)
    read = alias_map.read_csv if media_type == "text/csv" else alias_map.read_json
    changes = await content_aliases.link(
        request_parsing.services(request).partner_lock,
        caller.partner_id,
        caller.home_page,
        read(body),
        preview=is_preview,
    )
    return _response(changes, is_preview=is_preview)


def _content(request: Request) -> str:
    name: str = request.path_params["content"]
    if not alias_map.is_name(name):
        raise NotFound("Content item not found.")
    return name


def _is_preview(request: Request) -> bool:
    query = query_params.parse(
        request_parsing.query_parameters(request),
        {"preview": query_params.boolean},
        section=_SECTION,
    )
    return bool(query.get("preview", False))


async def _read(request: Request, partner_id: int) -> bytes:
    limit = request_parsing.services(request).settings.max_body_bytes
    body = await content_coding.read_body(request, partner_id, limit)
    time_limit.suspend(request.scope)
    return body


def _names(body: bytes) -> Sequence[str]:
    """The aliases in an array, or in the member `aliases` of an object. Raises InvalidParameter."""
    document = strict_json.loads(body)
    pointer = ""
    if isinstance(document, dict):
        unknown = document.keys() - {"aliases"}
        if unknown:
            raise _invalid(f"/{min(unknown)}", "expected no member but aliases")
        document, pointer = document.get("aliases"), "/aliases"
    if not isinstance(document, list) or len(document) > _MAX_ALIASES:
        detail = f"expected an array of at most {_MAX_ALIASES} identifiers of content items"
        raise _invalid(pointer, f"{detail}, found {excerpt(document)}")
    for index, name in enumerate(document):
        if not alias_map.is_name(name):
            detail = "expected an activity id, a content_id of track events or id:N, found"
            raise _invalid(f"{pointer}/{index}", f"{detail} {excerpt(name)}")
    return [name.strip() for name in document]


def _invalid(pointer: str, detail: str) -> InvalidParameter:
    violation = Violation(pointer, detail, f"{_SECTION}: aliases")
    return InvalidParameter(f"{pointer[1:] or 'body'}: {detail}.", violations=[violation])


def _response(changes: list[AliasChange], *, is_preview: bool) -> Response:
    counts = Counter(change.outcome for change in changes)
    return json_response(
        {
            "preview": is_preview,
            "results": [
                {
                    "content": _serialize(change.content),
                    "alias": _serialize(change.alias),
                    "outcome": change.outcome,
                    "events": change.events,
                    "learners": change.learners,
                }
                for change in changes
            ],
            "summary": {"received": len(changes), **counts},
        }
    )


def _serialize(item: NamedContent) -> dict[str, Any]:
    return {"content_id": item.content_id, "activity_id": item.activity_id}
