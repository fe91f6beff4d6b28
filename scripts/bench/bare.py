"""Bare Starlette that gives one answer to everything: what a server in Python could do at best."""

from __future__ import annotations

import os
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_ANSWER = Path(os.environ["BARE_ANSWER"]).read_bytes()


async def answer(request: Request) -> Response:
    if request.method == "POST":
        await request.body()
    return Response(_ANSWER, media_type="application/json")


app = Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])
