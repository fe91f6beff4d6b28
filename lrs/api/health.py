"""Liveness and readiness."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from lrs import __version__
from lrs.api import problem_details, request_parsing
from lrs.api.admission import admission
from lrs.api.readiness import not_ready
from lrs.api.responses import json_response


async def get_health(_: Request) -> Response:
    return PlainTextResponse("ok\n")


async def get_ready(request: Request) -> Response:
    """Whether a write would succeed, with the state of each check."""
    readiness = request_parsing.services(request).readiness
    result = await readiness.read(is_worker_full=admission(request.scope).is_worker_full)
    if error := not_ready(result):
        return problem_details.response(error, ready=False, checks=result.checks)
    members = {"version": __version__, "schema": result.schema, "checks": result.checks}
    return json_response({"ready": True, **members})
