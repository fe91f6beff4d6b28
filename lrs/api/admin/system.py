"""The server, for operators."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from lrs.admin import system
from lrs.api.admin.access import authenticate_operator
from lrs.api.admin.responses import json, no_query
from lrs.api.request_parsing import services


async def get_system(request: Request) -> Response:
    operator = await authenticate_operator(request)
    no_query(request)
    used = services(request)
    view = await system.describe(
        used.admin_database,
        operator,
        used.settings,
        used.database,
        used.pipeline.queued_statements(),
    )
    return json(view)
