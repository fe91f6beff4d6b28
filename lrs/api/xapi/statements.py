"""Statements, as the standard has them: a batch is all or nothing (1.0.3 Communication 2.1)."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from lrs.api import batch_results, problem_details, request_parsing, statement_list
from lrs.api.responses import json_response
from lrs.auth import scopes
from lrs.auth.authenticate import Caller
from lrs.errors import InvalidParameter, LRSError, MalformedJSON
from lrs.ingest.model import Outcome
from lrs.ingest.parse import StatementParser
from lrs.xapi import multipart, query_params, strict_json
from lrs.xapi.multipart import Attachment
from lrs.xapi.validation import Version

SECTION = "xAPI 1.0.3 Communication 2.1"


async def post_statements(request: Request) -> Response:
    version, who = await _writer(request)
    if request.scope["query_string"] and request.query_params:
        raise InvalidParameter("POST takes no parameters here.")
    text, attached = await _content(request)
    items, _ = request_parsing.split(request, text)
    parser = StatementParser(_max_bytes(request), attached)
    found = await _submit(request, who, version, items, parser)
    if problem := gravest(found):
        return problem_details.response(problem, results=batch_results.refused(found))
    return json_response([outcome.statement_id for outcome in found])


async def put_statement(request: Request) -> Response:
    version, who = await _writer(request)
    asked = query_params.parse(
        request_parsing.parameters(request),
        {"statementId": query_params.uuid},
        required=["statementId"],
        section=SECTION,
    )
    text, attached = await _content(request)
    items, is_batch = request_parsing.split(request, text)
    if is_batch:
        raise MalformedJSON("PUT stores one statement, not an array of them.")
    parser = StatementParser(_max_bytes(request), attached, asked["statementId"])
    found = await _submit(request, who, version, items, parser)
    if problem := gravest(found):
        return problem_details.response(problem)
    return Response(status_code=204)


async def get_statements(request: Request) -> Response:
    request_parsing.version(request, required=True)
    who = await request_parsing.caller(request, request_parsing.BASIC_OR_BEARER)
    return await statement_list.answer(request, who, None)


async def _writer(request: Request) -> tuple[Version | None, Caller]:
    version = request_parsing.version(request, required=True)
    who = await request_parsing.caller(request, request_parsing.BASIC_OR_BEARER)
    scopes.require(who.scopes, scopes.STATEMENTS_WRITE)
    return version, who


async def _content(request: Request) -> tuple[bytes, dict[str, Attachment]]:
    """The JSON text of the request, and the attachments that came with it."""
    content_type = request_parsing.header(request.scope, b"content-type") or ""
    is_multipart = content_type.lower().startswith("multipart/mixed")
    if not is_multipart:
        request_parsing.require_json(request)
    body = await request_parsing.body(
        request, request_parsing.services(request).settings.max_body_bytes
    )
    return multipart.parse(body, content_type) if is_multipart else (body, {})


async def _submit(
    request: Request,
    who: Caller,
    version: Version | None,
    items: Sequence[bytes],
    parser: StatementParser,
) -> list[Outcome]:
    if parser.attachments:
        multipart.require_declared([strict_json.loads(item) for item in items], parser.attachments)
    context = request_parsing.ingest_context(who, None, version)
    return await request_parsing.services(request).ingest.submit(
        items, context, parser, atomic=True
    )


def _max_bytes(request: Request) -> int:
    return request_parsing.services(request).settings.max_xapi_statement_bytes


_GRAVITY = ("invalid", "too_large", "conflict")


def gravest(found: Sequence[Outcome]) -> LRSError | None:
    """What refuses the whole request, if anything does; a duplicate is no reason to."""
    for kind in _GRAVITY:
        for outcome in found:
            if outcome.kind == kind:
                return outcome.problem
    return None
