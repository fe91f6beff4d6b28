"""Content items, for operators."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from lrs.admin import contents
from lrs.api.admin.access import authenticate_operator
from lrs.api.admin.bodies import read_body
from lrs.api.admin.partners import Empty
from lrs.api.admin.responses import json, list_query, list_response, no_query, object_response
from lrs.api.request_parsing import services
from lrs.errors import NotFound
from lrs.xapi import query_params


class _NewType(msgspec.Struct, forbid_unknown_fields=True):
    type: str


async def get_contents(request: Request) -> Response:
    operator = await authenticate_operator(request)
    query = list_query(request, {"deleted": query_params.boolean})
    page = await contents.list_contents(
        services(request).admin_database,
        operator,
        request.path_params["partner"],
        deleted=query.filters.get("deleted"),
        cursor=query.cursor,
        limit=query.limit,
    )
    return list_response(request, "contents", page)


async def get_content(request: Request) -> Response:
    operator = await authenticate_operator(request)
    no_query(request)
    detail = await contents.get_content(
        services(request).admin_database, operator, request.path_params["partner"], _name(request)
    )
    return object_response(detail)


async def set_type(request: Request) -> Response:
    operator = await authenticate_operator(request)
    body = await read_body(request, _NewType)
    used = services(request)
    detail = await contents.set_type(
        used.admin_database,
        operator,
        used.partner_lock,
        used.vocabulary,
        request.path_params["partner"],
        _name(request),
        body.type,
    )
    return object_response(detail)


async def delete_content(request: Request) -> Response:
    return await _set_deleted(request, deleted=True)


async def restore_content(request: Request) -> Response:
    return await _set_deleted(request, deleted=False)


async def _set_deleted(request: Request, *, deleted: bool) -> Response:
    operator = await authenticate_operator(request)
    await read_body(request, Empty, optional=True)
    name = _name(request)
    await contents.set_deleted(
        services(request).admin_database,
        operator,
        services(request).partner_lock,
        request.path_params["partner"],
        name,
        deleted=deleted,
    )
    content: dict[str, Any] = {"content": name, "deleted": deleted}
    return json(content)


def _name(request: Request) -> str:
    """The name of the content item in the path. Raises NotFound."""
    name: str = request.path_params["content"]
    if "\0" in name:
        raise NotFound("Content item not found.")
    return name
