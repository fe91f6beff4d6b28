"""Liveness and readiness."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from lrs import __version__
from lrs.api import request_parsing
from lrs.api.responses import json_response
from lrs.store import migrations
from lrs.store.postgres import translate_errors


async def get_health(_: Request) -> Response:
    return PlainTextResponse("ok\n")


async def get_ready(request: Request) -> Response:
    """Whether the database is available and has the expected schema version."""
    with translate_errors():
        version = await migrations.verify(request_parsing.services(request).database.readers)
    return json_response({"ready": True, "version": __version__, "schema": version})
