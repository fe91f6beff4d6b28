"""The partner interface: statements and track events, one or a batch (Percipio's contract)."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from lrs.api import batch_results, request_parsing, statement_list
from lrs.auth import scopes
from lrs.auth.authenticate import Caller
from lrs.errors import Forbidden, TokenExpired
from lrs.ingest.parse import StatementParser, TrackEventParser


async def post_statements(request: Request) -> Response:
    who = await _partner(request)
    scopes.require(who.scopes, scopes.STATEMENTS_WRITE)
    request_parsing.require_json(request)
    here, dry_run = request_parsing.services(request), request_parsing.dry_run(request)
    context = request_parsing.ingest_context(
        who, request_parsing.organization(request), request_parsing.version(request, required=False)
    )
    items, is_batch = await request_parsing.items(request)
    parser = StatementParser(here.settings.max_statement_bytes)
    found = await here.ingest.submit(items, context, parser, dry_run=dry_run)
    ids = [outcome.statement_id for outcome in found]
    return batch_results.response(found, is_batch=is_batch, dry_run=dry_run, stored=ids)


async def get_statements(request: Request) -> Response:
    who = await _partner(request)
    request_parsing.version(request, required=False)
    return await statement_list.answer(request, who, request_parsing.organization(request))


async def post_track(request: Request) -> Response:
    who = await request_parsing.partner(request)
    scopes.require(who.scopes, scopes.TRACK_WRITE)
    request_parsing.require_json(request)
    here, dry_run = request_parsing.services(request), request_parsing.dry_run(request)
    context = request_parsing.ingest_context(who, request_parsing.organization(request), None)
    items, is_batch = await request_parsing.items(request)
    parser = TrackEventParser(here.settings.max_statement_bytes)
    found = await here.ingest.submit(items, context, parser, dry_run=dry_run)
    told = [{"id": outcome.statement_id, "outcome": outcome.kind} for outcome in found]
    stored = told if is_batch else told[0]
    return batch_results.response(found, is_batch=is_batch, dry_run=dry_run, stored=stored)


async def _partner(request: Request) -> Caller:
    """Percipio answers 403 where the token of a statements request has expired."""
    try:
        return await request_parsing.partner(request)
    except TokenExpired as error:
        raise Forbidden(error.detail, headers=error.headers) from None
