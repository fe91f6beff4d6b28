"""State, agent profiles and activity profiles (xAPI 1.0.3 Communication 2.2, 2.3, 2.6, 2.7)."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from lrs.api import request_parsing
from lrs.api.responses import http_date, json_response
from lrs.auth import scopes
from lrs.errors import BadRequest, NotFound, PreconditionFailed
from lrs.store import documents as store
from lrs.store.documents import DocumentKey
from lrs.store.postgres import Database
from lrs.xapi import documents as rules
from lrs.xapi import preconditions
from lrs.xapi.documents import ANY_BYTES, Document, DocumentQuery, Kind
from lrs.xapi.preconditions import Preconditions
from lrs.xapi.validation import Version

_KINDS = {
    "/xapi/activities/state": rules.STATE,
    "/xapi/agents/profile": rules.AGENT_PROFILE,
    "/xapi/activities/profile": rules.ACTIVITY_PROFILE,
}

# A browser asks again before it uses what it has, and runs nothing that a document holds.
_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class _Call:
    """A request, read as far as its parameters and preconditions."""

    database: Database
    body_bytes: int
    kind: Kind
    version: Version
    partner_id: int
    asked: DocumentQuery
    conditions: Preconditions

    @property
    def key(self) -> DocumentKey:
        return DocumentKey(self.asked.scope, self.asked.document_id)


async def get_document(request: Request) -> Response:
    call = await _read(request, "GET")
    if not call.asked.document_id:
        return await _ids(call)
    found = await store.get(call.database, call.partner_id, call.key)
    if found is None:
        raise NotFound(f"There is no {call.kind.name} {call.asked.document_id[:80]!r} here.")
    headers = {**_HEADERS, "ETag": f'"{found.document.etag}"'}
    if call.conditions.not_modified(found.document.etag):
        return Response(status_code=304, headers=headers)
    headers["Last-Modified"] = http_date(found.updated)
    headers["Content-Type"] = found.document.content_type
    return Response(found.document.content, headers=headers)


async def put_document(request: Request) -> Response:
    call = await _read(request, "PUT")
    sent = await _document(call, request)
    if not call.conditions and rules.replaces_unconditionally(call.kind, call.version):
        await store.put(call.database, call.partner_id, call.key, sent)
        return _changed(sent)

    def decide(found: Document | None) -> Document:
        rules.check_put(call.kind, call.version, call.conditions, found)
        return sent

    return _changed(await store.compare_and_swap(call.database, call.partner_id, call.key, decide))


async def post_document(request: Request) -> Response:
    call = await _read(request, "POST")
    sent = await _document(call, request)
    rules.check_post(sent)

    def decide(found: Document | None) -> Document:
        call.conditions.check(found.etag if found else None)
        return rules.merge(found, sent, call.body_bytes) if found else sent

    return _changed(await store.compare_and_swap(call.database, call.partner_id, call.key, decide))


async def delete_document(request: Request) -> Response:
    call = await _read(request, "DELETE")
    if not call.asked.document_id:
        await _delete_all(call)
    elif call.conditions:
        await _delete_one(call)
    else:
        await store.delete(call.database, call.partner_id, call.key)
    return _changed(None)


async def _ids(call: _Call) -> Response:
    scope, since = call.asked.scope, call.asked.since
    found = await store.list_ids(call.database, call.partner_id, scope, since)
    headers = {"Cache-Control": "no-cache"}
    if found:
        latest = max(updated for _, updated in found)
        headers["Last-Modified"] = http_date(latest)
    return json_response([document_id for document_id, _ in found], headers=headers)


async def _delete_one(call: _Call) -> None:
    def decide(found: Document | None) -> None:
        call.conditions.check(found.etag if found else None)

    await store.compare_and_swap(call.database, call.partner_id, call.key, decide)


async def _delete_all(call: _Call) -> None:
    if call.conditions:
        raise PreconditionFailed("If-Match and If-None-Match are for one document: give stateId.")
    await store.delete_all(call.database, call.partner_id, call.asked.scope)


async def _read(request: Request, method: str) -> _Call:
    kind = _KINDS[request.scope["path"]]
    version = request_parsing.version(request, required=True)
    who = await request_parsing.caller(request, request_parsing.BASIC_OR_BEARER)
    needed = scopes.STATE if kind is rules.STATE else scopes.PROFILE
    scopes.require(who.scopes, needed, *((scopes.ALL_READ,) if method == "GET" else ()))
    here = request_parsing.services(request)
    return _Call(
        here.database,
        here.settings.max_body_bytes,
        kind,
        version or "1.0.3",
        who.partner_id,
        rules.parse(request_parsing.parameters(request), kind, method),
        preconditions.parse(
            request.headers.getlist("if-match"), request.headers.getlist("if-none-match")
        ),
    )


async def _document(call: _Call, request: Request) -> Document:
    content_type = request.headers.get("content-type", "").strip() or ANY_BYTES
    if not content_type.isprintable():
        raise BadRequest("The Content-Type holds characters that are not printable.")
    return Document.of(await request_parsing.body(request, call.body_bytes), content_type)


def _changed(document: Document | None) -> Response:
    headers = {"ETag": f'"{document.etag}"'} if document else None
    return Response(status_code=204, headers=headers)
