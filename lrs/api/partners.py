"""The partner interface: statements and track events, one or a batch (Percipio's contract)."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from lrs.api import listing, outcomes, reading
from lrs.api.routing import resource
from lrs.auth import scopes
from lrs.auth.authenticate import Caller
from lrs.checking import StatementReader, read_track
from lrs.errors import Forbidden, TokenExpired


async def post_statements(request: Request) -> Response:
    who = await _partner(request)
    scopes.require(who.scopes, scopes.STATEMENTS_WRITE)
    reading.require_json(request)
    here, dry_run = reading.services(request), reading.dry_run(request)
    sender = reading.sender(
        who, reading.organization(request), reading.version(request, required=False)
    )
    items, is_batch = await reading.items(request)
    found = await here.ingest.submit(
        items,
        sender,
        StatementReader(),
        item_bytes=here.settings.statement_bytes,
        dry_run=dry_run,
    )
    ids = [outcome.statement_id for outcome in found]
    return outcomes.response(found, is_batch=is_batch, dry_run=dry_run, stored=ids)


async def get_statements(request: Request) -> Response:
    who = await _partner(request)
    reading.version(request, required=False)
    return await listing.answer(request, who, reading.organization(request))


async def post_track(request: Request) -> Response:
    who = await reading.partner(request)
    scopes.require(who.scopes, scopes.TRACK_WRITE)
    reading.require_json(request)
    here, dry_run = reading.services(request), reading.dry_run(request)
    sender = reading.sender(who, reading.organization(request), None)
    items, is_batch = await reading.items(request)
    found = await here.ingest.submit(
        items, sender, read_track, item_bytes=here.settings.statement_bytes, dry_run=dry_run
    )
    told = [{"id": outcome.statement_id, "outcome": outcome.kind} for outcome in found]
    stored = told if is_batch else told[0]
    return outcomes.response(found, is_batch=is_batch, dry_run=dry_run, stored=stored)


async def _partner(request: Request) -> Caller:
    """Percipio answers 403 where the token of a statements request has expired."""
    try:
        return await reading.partner(request)
    except TokenExpired as error:
        raise Forbidden(error.detail, headers=error.headers) from None


_PARTNER = "/v1/partners/{partner}"
_ORGANIZATION = _PARTNER + "/organizations/{organization}"

ROUTES = [
    resource(f"{path}/{name}", **handlers)
    for path in (_PARTNER, _ORGANIZATION)
    for name, handlers in (
        ("statements", {"get": get_statements, "post": post_statements}),
        ("track", {"post": post_track}),
    )
]
