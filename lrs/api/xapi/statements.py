"""Statements of the xAPI interface: a batch is atomic (xAPI 1.0.3 Communication 2.1)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from lrs.api import (
    access,
    batch_results,
    content_coding,
    forwarded_statements,
    problem_details,
    request_parsing,
    statement_list,
)
from lrs.api.access import BASIC_OR_BEARER
from lrs.api.request_record import record_of
from lrs.api.responses import json_response
from lrs.auth import scopes
from lrs.auth.authenticate import Caller
from lrs.auth.ingest_context import ingest_context
from lrs.errors import LRSError, MalformedJSON
from lrs.ingest.model import Outcome
from lrs.ingest.parse import StatementParser
from lrs.xapi import attachment_rules, multipart, query_params, requirements, strict_json
from lrs.xapi.multipart import Attachment
from lrs.xapi.validation import Version

_LARGE_MULTIPART_BYTES = 262_144
"""Larger ones are parsed one at a time, in turns of the partners."""


async def post_statements(request: Request) -> Response:
    """Store statements (Communication 2.1.2)."""
    version = request_parsing.required_version(request)
    caller = await access.authorize(request, BASIC_OR_BEARER, scopes.STATEMENTS_WRITE)
    if request.scope["query_string"]:
        section = requirements.POST_STATEMENTS[version]
        query_params.reject_all(request_parsing.query_parameters(request), section=section)
    text, attachments = await _read_content(request, caller.partner_id)
    items, _ = await content_coding.split_items(request, caller.partner_id, text)
    parser = StatementParser(_max_bytes(request), attachments)
    outcomes = await _store(request, caller, version, items, parser)
    if problem := gravest(outcomes):
        return problem_details.response(problem, results=batch_results.refused(outcomes))
    return json_response([outcome.statement_id for outcome in outcomes])


async def put_statement(request: Request) -> Response:
    """Store one statement under the id in the query (Communication 2.1.1)."""
    version = request_parsing.required_version(request)
    caller = await access.authorize(request, BASIC_OR_BEARER, scopes.STATEMENTS_WRITE)
    statement_id = _statement_id(request, version)
    text, attachments = await _read_content(request, caller.partner_id)
    items, is_batch = await content_coding.split_items(request, caller.partner_id, text)
    if is_batch:
        raise MalformedJSON("The body of a PUT is one statement, not an array.")
    parser = StatementParser(_max_bytes(request), attachments, statement_id)
    outcomes = await _store(request, caller, version, items, parser)
    if problem := gravest(outcomes):
        return problem_details.response(problem)
    return Response(status_code=204)


async def get_statements(request: Request) -> Response:
    """One statement or a page of statements (Communication 2.1.3)."""
    version = request_parsing.required_version(request)
    caller = await access.authorize(request, BASIC_OR_BEARER, *statement_list.SCOPES)
    return await statement_list.response(request, caller, None, version)


def _statement_id(request: Request, version: Version) -> str:
    parameters = query_params.parse(
        request_parsing.query_parameters(request),
        {"statementId": query_params.uuid_as_sent},
        required=["statementId"],
        section=requirements.PUT_STATEMENT[version],
    )
    return str(parameters["statementId"])


async def _read_content(request: Request, partner_id: int) -> tuple[bytes, dict[str, Attachment]]:
    """The JSON text of the request, and its attachments by SHA-2 (Communication 1.5)."""
    content_type = request_parsing.header(request.scope, b"content-type") or ""
    is_multipart = content_type.lower().startswith("multipart/mixed")
    # axios in Node, which @xapi/xapi uses, replaces the type of a multipart body with this one.
    is_untyped = content_type.lower() == "application/octet-stream"
    if not is_multipart and not is_untyped:
        request_parsing.require_json(request)
    limit = request_parsing.services(request).settings.max_body_bytes
    body = await content_coding.read_body(request, partner_id, limit)
    if is_untyped and (inferred := multipart.inferred_content_type(body)):
        is_multipart, content_type = True, inferred
    if not is_multipart:
        request_parsing.require_json(request)
        return body, {}
    if len(body) <= _LARGE_MULTIPART_BYTES:
        return await asyncio.to_thread(multipart.parse, body, content_type)
    thread = request_parsing.services(request).thread
    return await thread.run(partner_id, multipart.parse, body, content_type)


async def _store(
    request: Request,
    caller: Caller,
    version: Version,
    items: Sequence[bytes],
    parser: StatementParser,
) -> list[Outcome]:
    has_attachments = bool(parser.attachments)
    services = request_parsing.services(request)
    if has_attachments:
        await services.thread.run(caller.partner_id, _check_attachments, items, parser)
    recording = forwarded_statements.start_recording(request, caller, items)
    source = forwarded_statements.source(request.scope)
    context = ingest_context(caller, None, version, source=source)
    if parser.statement_id:
        context = msgspec.structs.replace(context, requested_id=parser.statement_id)
    outcomes = await services.pipeline.submit(
        items, context, parser, atomic=True, in_thread=has_attachments
    )
    if recording:
        await recording
    record_of(request.scope).outcomes = outcomes
    return outcomes


def _check_attachments(items: Sequence[bytes], parser: StatementParser) -> None:
    """Raises BadRequest. Items are parsed one at a time: together they can take 25 times 16 MiB."""
    if any(len(item) > parser.max_bytes for item in items):
        return  # the parser refuses the item
    attachment_rules.require_declared(map(strict_json.loads, items), parser.attachments)
    attachment_rules.check_signatures(map(strict_json.loads, items), parser.attachments)


def _max_bytes(request: Request) -> int:
    return request_parsing.services(request).settings.max_xapi_statement_bytes


_GRAVITY = ("invalid", "too_large", "conflict")


def gravest(outcomes: Sequence[Outcome]) -> LRSError | None:
    """The problem for which a batch is refused, if any. A duplicate is not a problem."""
    for kind in _GRAVITY:
        for outcome in outcomes:
            if outcome.kind == kind:
                return outcome.problem
    return None
