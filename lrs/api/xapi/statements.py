"""Statements, as the standard has them: a batch is all or nothing (1.0.3 Communication 2.1)."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from lrs.api import listing, outcomes, problems, reading
from lrs.api.responses import json_response
from lrs.api.routing import resource
from lrs.auth import scopes
from lrs.errors import InvalidParameter, LRSError
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


ROUTES = [resource("/xapi/statements", get=get_statements, post=post_statements)]
