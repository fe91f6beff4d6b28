"""The xAPI interface: standard answers; a batch is all or nothing (1.0.3 Communication 2.1)."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lrs.api import listing, outcomes, problems, reading
from lrs.api.responses import CONSISTENT_THROUGH, json_response, timestamp
from lrs.api.routing import resource
from lrs.api.services import Services
from lrs.auth import scopes
from lrs.errors import InvalidParameter, LRSError, Unavailable
from lrs.ingest import Outcome, read_statement


async def post_statements(request: Request) -> Response:
    version = reading.version(request, required=True)
    who = await reading.caller(request, reading.BASIC_OR_BEARER)
    scopes.require(who.scopes, scopes.STATEMENTS_WRITE)
    reading.require_json(request)
    if request.query_params:
        raise InvalidParameter("POST takes no parameters here.")
    here = reading.services(request)
    items, _ = await reading.items(request)
    found = await here.ingest.submit(
        items,
        reading.sender(who, None, version),
        read_statement,
        item_bytes=here.settings.xapi_statement_bytes,
        atomic=True,
    )
    if problem := _gravest(found):
        return problems.response(problem, **outcomes.results(found))
    return json_response([outcome.statement_id for outcome in found])


async def get_statements(request: Request) -> Response:
    reading.version(request, required=True)
    who = await reading.caller(request, reading.BASIC_OR_BEARER)
    return await listing.answer(request, who, None)


_GRAVITY = {"invalid": 3, "too_large": 2, "conflict": 1}


def _gravest(found: Sequence[Outcome]) -> LRSError | None:
    """What refuses the whole request, if anything does; a duplicate is no reason to."""
    refused = [outcome for outcome in found if outcome.kind in _GRAVITY]
    if not refused:
        return None
    return max(refused, key=lambda outcome: _GRAVITY[outcome.kind]).problem


class XAPIHeaders:
    """Puts the version and the bound into every answer, refusals included (3.3, 2.1.4)."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/xapi"):
            await self.app(scope, receive, send)
            return
        here: Services = scope["app"].state.services

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers[reading.VERSION_HEADER] = _version(Request(scope), here)
                if scope["path"].startswith("/xapi/statements"):
                    await _add_bound(headers, here)
            await send(message)

        await self.app(scope, receive, send_with_headers)


def _version(request: Request, here: Services) -> str:
    try:
        asked = reading.version(request, required=True)
    except LRSError:
        asked = None
    return asked or here.settings.xapi_default_version


async def _add_bound(headers: MutableHeaders, here: Services) -> None:
    if CONSISTENT_THROUGH in headers:
        return
    try:
        headers[CONSISTENT_THROUGH] = timestamp(await here.horizon.recent())
    except Unavailable:
        return  # the answer itself says that the database is away


ROUTES = [resource("/xapi/statements", get=get_statements, post=post_statements)]
