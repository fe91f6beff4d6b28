"""The server, for operators."""

from __future__ import annotations

from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from lrs.admin import system
from lrs.admin.system import WorkerState
from lrs.api.admin.access import authenticate_operator
from lrs.api.admin.responses import json, list_query, next_page
from lrs.api.admission import admission
from lrs.api.request_parsing import services


async def get_system(request: Request) -> Response:
    operator = await authenticate_operator(request)
    query = list_query(request)
    used = services(request)
    reports = await system.list_report_backlogs(
        used.admin_database, operator, cursor=query.cursor, limit=query.limit
    )
    view = await system.describe(
        used.admin_database,
        operator,
        used.settings,
        WorkerState(
            used.database, used.pipeline.queued_statements(), admission(request.scope).usage
        ),
        reports.items,
    )
    return json(replace(view, more=next_page(request, reports)))
