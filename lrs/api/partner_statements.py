"""The partner interface (Percipio's contract): statements and track events, also in batches."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from lrs.api import (
    access,
    batch_results,
    content_coding,
    forwarded_statements,
    request_parsing,
    statement_list,
)
from lrs.api.request_record import record_of
from lrs.auth import scopes
from lrs.auth.authenticate import Caller
from lrs.auth.ingest_context import ingest_context
from lrs.errors import Forbidden, TokenExpired
from lrs.ingest.parse import StatementParser, TrackEventParser


async def post_statements(request: Request) -> Response:
    caller = await _authorize(request, scopes.STATEMENTS_WRITE)
    request_parsing.require_json(request)
    dry_run = request_parsing.is_dry_run(request)
    organization = request_parsing.organization(request)
    version = request_parsing.optional_version(request)
    items, is_batch = await content_coding.read_items(request, caller.partner_id)
    services = request_parsing.services(request)
    parser = StatementParser(services.settings.max_statement_bytes)
    recording = None if dry_run else forwarded_statements.start_recording(request, caller, items)
    context = ingest_context(caller, organization, version, source="statements")
    outcomes = await services.pipeline.submit(items, context, parser, dry_run=dry_run)
    if recording:
        await recording
    record_of(request.scope).outcomes = outcomes
    ids = [outcome.statement_id for outcome in outcomes]
    return batch_results.response(outcomes, is_batch=is_batch, dry_run=dry_run, stored=ids)


async def get_statements(request: Request) -> Response:
    caller = await _authorize(request, *statement_list.SCOPES)
    version = request_parsing.optional_version(request) or "1.0.3"
    organization = request_parsing.organization(request)
    return await statement_list.response(request, caller, organization, version)


async def post_track(request: Request) -> Response:
    caller = await access.authorize_partner(request, scopes.TRACK_WRITE)
    request_parsing.require_json(request)
    dry_run = request_parsing.is_dry_run(request)
    organization = request_parsing.organization(request)
    items, is_batch = await content_coding.read_items(request, caller.partner_id)
    services = request_parsing.services(request)
    parser = TrackEventParser(services.settings.max_statement_bytes)
    context = ingest_context(caller, organization, None, source="track")
    outcomes = await services.pipeline.submit(items, context, parser, dry_run=dry_run)
    record_of(request.scope).outcomes = outcomes
    stored = [{"id": outcome.statement_id, "outcome": outcome.kind} for outcome in outcomes]
    return batch_results.response(
        outcomes, is_batch=is_batch, dry_run=dry_run, stored=stored if is_batch else stored[0]
    )


async def _authorize(request: Request, *sufficient: str) -> Caller:
    """Like `authorize_partner`, but an expired token is 403: Percipio's contract for statements."""
    try:
        return await access.authorize_partner(request, *sufficient)
    except TokenExpired as error:
        raise Forbidden(error.detail, headers=error.headers) from None
