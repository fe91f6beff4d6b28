"""State, agent profile and activity profile (xAPI 1.0.3 Communication 2.2, 2.3, 2.6, 2.7)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from lrs.api import access, content_coding, request_parsing
from lrs.api.responses import http_date, json_response
from lrs.auth import scopes
from lrs.errors import BadRequest, LRSError, NotFound, PreconditionFailed, Unavailable
from lrs.limits.model import Subject
from lrs.limits.quotas import Quotas, have_quota
from lrs.pacing import Pacing
from lrs.store import documents as store
from lrs.store.documents import DocumentKey
from lrs.store.postgres import Database
from lrs.threads import FairThread
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

# Parsing and merging takes up to a microsecond per byte.
_MAX_BYTES_ON_EVENT_LOOP = 16_384

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

# A browser revalidates its copy, and runs no script in a document.
_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class _DocumentRequest:
    """A request with its parsed parameters and preconditions; the body is not read."""

    database: Database
    quotas: Quotas
    subjects: Sequence[Subject]
    thread: FairThread
    pacing: Pacing
    max_bytes: int
    kind: Kind
    version: Version
    partner_id: int
    query: DocumentQuery
    preconditions: Preconditions

    @property
    def key(self) -> DocumentKey:
        return DocumentKey(self.query.scope, self.query.document_id)


async def get_document(request: Request) -> Response:
    """One document, or the ids of a scope."""
    call = await _parse(request, "GET")
    if not call.query.document_id:
        return await _ids_response(call)
    async with call.pacing.turn(call.partner_id):
        stored = await store.get(call.database, call.partner_id, call.key)
    if stored is None:
        raise NotFound(f"No {call.kind.name} with the id {call.query.document_id[:80]!r}.")
    headers = {**_HEADERS, "ETag": f'"{stored.document.etag}"'}
    if call.preconditions.not_modified(stored.document.etag):
        return Response(status_code=304, headers=headers)
    headers["Last-Modified"] = http_date(stored.updated)
    headers["Content-Type"] = stored.document.content_type
    return Response(stored.document.content, headers=headers)


async def put_document(request: Request) -> Response:
    """Replace or create a document (preconditions: Communication 3.1)."""
    call = await _parse(request, "PUT")
    document = await _read_document(request, call.partner_id, call.max_bytes)
    is_unconditional = rules.replaces_unconditionally(call.kind, call.version)
    if is_unconditional and not call.preconditions and not have_quota(call.subjects, "bytes"):
        async with call.pacing.turn(call.partner_id):
            await store.put(call.database, call.partner_id, call.key, document)
        return _no_content(document)

    async def replace(stored: Document | None) -> Document:
        if call.preconditions or not is_unconditional:
            rules.check_put(call.kind, call.version, call.preconditions, stored)
        return document

    await _compare_and_swap(call, replace, len(document.content))
    return _no_content(document)


async def post_document(request: Request) -> Response:
    """Merge JSON into a document, or create it (Communication 2.2)."""
    call = await _parse(request, "POST")
    document = await _read_document(request, call.partner_id, call.max_bytes)
    size = len(document.content)
    await _run(call, size, rules.check_post, document)

    async def merge(stored: Document | None) -> Document:
        call.preconditions.check(stored.etag if stored else None)
        if stored is None:
            return document
        total = size + len(stored.content)
        return await _run(call, total, rules.merge, stored, document, call.max_bytes)

    merged = await _compare_and_swap(call, merge, size)
    return _no_content(merged)


async def delete_document(request: Request) -> Response:
    """Delete one document, or all state documents of a scope."""
    call = await _parse(request, "DELETE")
    if not call.query.document_id:
        await _delete_all(call)
    elif call.preconditions:
        await _delete_conditionally(call)
    else:
        size = await store.delete(call.database, call.partner_id, call.key)
        call.quotas.release(call.subjects, {"bytes": size})
    return _no_content(None)


async def _ids_response(call: _DocumentRequest) -> Response:
    rows = await store.list_ids(call.database, call.partner_id, call.query.scope, call.query.since)
    headers = {"Cache-Control": "no-cache"}
    if rows:
        headers["Last-Modified"] = http_date(max(updated for _, updated in rows))
    return json_response([document_id for document_id, _ in rows], headers=headers)


async def _delete_conditionally(call: _DocumentRequest) -> None:
    async def delete(stored: Document | None) -> None:
        call.preconditions.check(stored.etag if stored else None)

    await _compare_and_swap(call, delete, 0)


async def _delete_all(call: _DocumentRequest) -> None:
    if call.preconditions:
        raise PreconditionFailed("If-Match and If-None-Match need the stateId of one document.")
    size = await store.delete_all(call.database, call.partner_id, call.query.scope)
    call.quotas.release(call.subjects, {"bytes": size})


async def _run(
    call: _DocumentRequest,
    size: int,
    function: Callable[Parameters, Result],
    *args: Parameters.args,
    **kwargs: Parameters.kwargs,
) -> Result:
    """Calls a function that parses `size` bytes; in a thread if they are many."""
    if size <= _MAX_BYTES_ON_EVENT_LOOP:
        return function(*args, **kwargs)
    return await call.thread.run(call.partner_id, function, *args, **kwargs)


async def _compare_and_swap(
    call: _DocumentRequest, update: store.Update, sent_bytes: int
) -> Document | None:
    """The result of `store.compare_and_swap`, which may add some bytes to the stored document.

    Raises StorageQuotaExceeded.
    """
    present_size = 0

    async def measure(stored: Document | None) -> Document | None:
        nonlocal present_size
        present_size = len(stored.content) if stored else 0
        return await update(stored)

    reservation = await call.quotas.reserve(call.subjects, {"bytes": sent_bytes})
    try:
        async with call.pacing.turn(call.partner_id):
            new = await store.compare_and_swap(
                call.database, call.partner_id, call.key, measure, sent_bytes=sent_bytes
            )
    except LRSError as error:
        if isinstance(error, Unavailable):
            reservation.use_all()
        else:
            reservation.settle({})
        raise
    except BaseException:
        reservation.use_all()
        raise
    new_size = len(new.content) if new else 0
    reservation.settle({"bytes": new_size - present_size})
    return new


async def _parse(request: Request, method: str) -> _DocumentRequest:
    """Authorize and parse a request. `method` is GET for HEAD too."""
    kind = _KINDS[request.scope["path"]]
    version = request_parsing.required_version(request)
    write_scope = scopes.STATE if kind is rules.STATE else scopes.PROFILE
    sufficient = (write_scope, scopes.ALL_READ) if method == "GET" else (write_scope,)
    caller = await access.authorize(request, access.BASIC_OR_BEARER, *sufficient)
    services = request_parsing.services(request)
    return _DocumentRequest(
        services.database,
        services.limits.quotas,
        caller.subjects,
        services.thread,
        services.pacing,
        services.settings.max_document_bytes,
        kind,
        version,
        caller.partner_id,
        rules.parse(request_parsing.query_parameters(request), kind, method, version),
        preconditions.parse(
            request.headers.getlist("if-match"), request.headers.getlist("if-none-match")
        ),
    )


async def _read_document(request: Request, partner_id: int, max_bytes: int) -> Document:
    content_type = request.headers.get("content-type", "").strip() or ANY_BYTES
    if not content_type.isprintable():
        raise BadRequest("The Content-Type contains unprintable characters.")
    content = await content_coding.read_body(request, partner_id, max_bytes)
    return Document.of(content, content_type)


def _no_content(document: Document | None) -> Response:
    headers = {"ETag": f'"{document.etag}"'} if document else None
    return Response(status_code=204, headers=headers)
