"""Statements, as the standard has them: a batch is all or nothing (1.0.3 Communication 2.1)."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from lrs.api import listing, outcomes, problems, reading
from lrs.api.responses import json_response
from lrs.api.xapi.resources import resource
from lrs.auth import scopes
from lrs.auth.authenticate import Caller
from lrs.checking import StatementReader
from lrs.errors import InvalidParameter, LRSError, MalformedJSON
from lrs.ingest import Outcome
from lrs.xapi import codec, multipart, parameters
from lrs.xapi.multipart import Attached
from lrs.xapi.validation import Version

SECTION = "xAPI 1.0.3 Communication 2.1"


async def post_statements(request: Request) -> Response:
    version, who = await _writer(request)
    if request.scope["query_string"] and request.query_params:
        raise InvalidParameter("POST takes no parameters here.")
    text, attached = await _content(request)
    items, _ = reading.split(request, text)
    found = await _submit(request, who, version, items, StatementReader(attached))
    if problem := gravest(found):
        return problems.response(problem, results=outcomes.refused(found))
    return json_response([outcome.statement_id for outcome in found])


async def put_statement(request: Request) -> Response:
    version, who = await _writer(request)
    asked = parameters.read(
        reading.parameters(request),
        {"statementId": parameters.uuid},
        required=["statementId"],
        section=SECTION,
    )
    text, attached = await _content(request)
    items, is_batch = reading.split(request, text)
    if is_batch:
        raise MalformedJSON("PUT stores one statement, not an array of them.")
    reader = StatementReader(attached, asked["statementId"])
    found = await _submit(request, who, version, items, reader)
    if problem := gravest(found):
        return problems.response(problem)
    return Response(status_code=204)


async def get_statements(request: Request) -> Response:
    reading.version(request, required=True)
    who = await reading.caller(request, reading.BASIC_OR_BEARER)
    return await listing.answer(request, who, None)


async def _writer(request: Request) -> tuple[Version | None, Caller]:
    version = reading.version(request, required=True)
    who = await reading.caller(request, reading.BASIC_OR_BEARER)
    scopes.require(who.scopes, scopes.STATEMENTS_WRITE)
    return version, who


async def _content(request: Request) -> tuple[bytes, dict[str, Attached]]:
    """The JSON text of the request, and the attachments that came with it."""
    content_type = reading.header(request.scope, b"content-type") or ""
    is_multipart = content_type.lower().startswith("multipart/mixed")
    if not is_multipart:
        reading.require_json(request)
    body = await reading.body(request, reading.services(request).settings.body_bytes)
    return multipart.read(body, content_type) if is_multipart else (body, {})


async def _submit(
    request: Request,
    who: Caller,
    version: Version | None,
    items: Sequence[bytes],
    reader: StatementReader,
) -> list[Outcome]:
    here = reading.services(request)
    if reader.attached:
        multipart.expect_named([codec.read(item) for item in items], reader.attached)
    return await here.ingest.submit(
        items,
        reading.sender(who, None, version),
        reader,
        item_bytes=here.settings.xapi_statement_bytes,
        atomic=True,
    )


_GRAVITY = ("invalid", "too_large", "conflict")


def gravest(found: Sequence[Outcome]) -> LRSError | None:
    """What refuses the whole request, if anything does; a duplicate is no reason to."""
    for kind in _GRAVITY:
        for outcome in found:
            if outcome.kind == kind:
                return outcome.problem
    return None


ROUTES = [resource("/xapi/statements", get=get_statements, post=post_statements, put=put_statement)]
