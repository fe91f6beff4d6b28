"""LTI tools of partners, for operators."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from lrs.admin import tools
from lrs.admin.views import Page
from lrs.api.admin.access import authenticate_operator
from lrs.api.admin.bodies import read_body
from lrs.api.admin.credentials import Rotation
from lrs.api.admin.partners import Empty
from lrs.api.admin.responses import changed, list_response, no_query
from lrs.api.request_parsing import services
from lrs.store.postgres import Database


class _NewTool(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    consumer_key: str | None = None
    secret: str | None = None


async def get_tools(request: Request) -> Response:
    operator = await authenticate_operator(request)
    no_query(request)
    partner = request.path_params["partner"]
    rows = await tools.list_tools(services(request).admin_database, operator, partner)
    return list_response(request, "tools", Page(rows, None))


async def post_tools(request: Request) -> Response:
    operator = await authenticate_operator(request)
    body = await read_body(request, _NewTool)
    secret_box, partner = services(request).secret_box, request.path_params["partner"]
    return await changed(
        request,
        operator,
        body,
        lambda database: tools.add_tool(
            database,
            operator,
            secret_box,
            partner,
            body.name,
            consumer_key=body.consumer_key,
            secret=body.secret,
        ),
        status=201,
    )


async def rotate_tool(request: Request) -> Response:
    operator = await authenticate_operator(request)
    body = await read_body(request, Rotation, optional=True)
    secret_box, partner = services(request).secret_box, request.path_params["partner"]
    return await changed(
        request,
        operator,
        body,
        lambda database: tools.rotate_tool(
            database,
            operator,
            secret_box,
            partner,
            request.path_params["tool"],
            body.overlap_hours,
        ),
    )


async def revoke_tool(request: Request) -> Response:
    operator = await authenticate_operator(request)
    body = await read_body(request, Empty, optional=True)
    partner, name = request.path_params["partner"], request.path_params["tool"]

    async def revoke(database: Database) -> dict[str, str]:
        await tools.revoke_tool(database, operator, partner, name)
        return {"name": name}

    return await changed(request, operator, body, revoke)
