"""GET of statements, shared by the partner interface and the xAPI interface."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache, partial
from secrets import token_hex
from urllib.parse import quote, urlencode

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from lrs.api import request_parsing, urls
from lrs.api.admission import admission
from lrs.api.responses import CONSISTENT_THROUGH, JSONResponse, http_date, timestamp
from lrs.api.statement_formats import Formatter, parse
from lrs.auth import scopes
from lrs.auth.authenticate import Caller
from lrs.errors import NotFound
from lrs.store.statements import attachments, filters
from lrs.store.statements.filters import StatementFilter
from lrs.store.statements.page_loader import StatementPage
from lrs.xapi import attachment_rules, formats, multipart, statement_query
from lrs.xapi.statement_query import Cursor, StatementQuery
from lrs.xapi.validation import Version

_MAX_SEARCH_SECONDS = 2.0

SCOPES = (scopes.STATEMENTS_READ, scopes.STATEMENTS_READ_MINE)
"""The scopes of which a caller needs one."""


@dataclass(frozen=True, slots=True)
class StatementResult:
    """The result of a query: its JSON text, and the stored statements in it, comma-separated."""

    text: bytes
    statements: bytes
    headers: Mapping[str, str]


async def response(
    request: Request, caller: Caller, organization: str | None, version: Version
) -> Response:
    """One statement or a page of statements (xAPI 1.0.3 Communication 2.1.3)."""
    services = request_parsing.services(request)
    page_size = services.settings.max_page_size
    query = _parse(request.scope["query_string"], page_size, version)
    load = _single if query.statement_id or query.voided_statement_id else _page
    result = await load(request, query, caller, organization)
    if query.attachments:
        return await _multipart_response(request, caller, result)
    return JSONResponse(result.text, headers=result.headers)


@lru_cache(256)
def _parse(query_string: bytes, page_size: int, version: Version) -> StatementQuery:
    """The parsed query, cached: clients that poll repeat the same one."""
    pairs = request_parsing.parse_query(query_string)
    return statement_query.parse(pairs, page_size=page_size, version=version)


async def _single(
    request: Request, query: StatementQuery, caller: Caller, organization: str | None
) -> StatementResult:
    services = request_parsing.services(request)
    statement_id = str(query.statement_id or query.voided_statement_id)
    watermark = timestamp(await services.watermark_reader.cached_watermark())
    stored = await services.statement_loader.load(caller.partner_id, statement_id)
    is_visible = (
        stored is not None
        and stored.voided == (query.voided_statement_id is not None)
        and organization in (None, stored.organization)
        and _only_authority(caller) in (None, stored.authority_key)
    )
    if stored is None or not is_visible:
        raise NotFound(
            f"Statement {statement_id} not found.", headers={CONSISTENT_THROUGH: watermark}
        )
    text, _ = await _format(stored.payload, query, request, caller)
    headers = {
        CONSISTENT_THROUGH: watermark,
        "Last-Modified": http_date(stored.stored),
        # A statement can be voided; without this a browser derives a lifetime from Last-Modified.
        "Cache-Control": "no-cache",
    }
    return StatementResult(text, stored.payload, headers)


async def _page(
    request: Request, query: StatementQuery, caller: Caller, organization: str | None
) -> StatementResult:
    services = request_parsing.services(request)
    reading = await services.watermark_reader.take_reading(caller.partner_id)
    watermark = reading.watermark
    if query.cursor:
        watermark = min(watermark, query.cursor.consistent_through)
    load = partial(services.page_loader.load, caller.partner_id, read_at=reading.read_at)
    build_filter = partial(
        filters.build_filter,
        watermark=watermark,
        authority_key=_only_authority(caller),
        organization=organization,
    )
    statement_filter, page = await _first_page_with_statements(query, build_filter, load, watermark)
    text, limit = await _format(page.statements, query, request, caller)
    while limit:
        page = await load(replace(statement_filter, limit=limit))
        text, limit = await _format(page.statements, query, request, caller)
    cursor = Cursor(page.last_sequence, watermark) if page.last_sequence is not None else None
    more = orjson.dumps(_more(request, query, cursor) if cursor else "")
    text = b"".join((b'{"statements":[', text, b'],"more":', more, b"}"))
    return StatementResult(text, page.statements, {CONSISTENT_THROUGH: timestamp(watermark)})


async def _first_page_with_statements(
    query: StatementQuery,
    build_filter: Callable[[StatementQuery], StatementFilter],
    load: Callable[[StatementFilter], Awaitable[StatementPage]],
    watermark: datetime,
) -> tuple[StatementFilter, StatementPage]:
    """The page of a query, and its filter.

    A page ends after a number of examined statements. While it is empty, the next one is searched,
    for two seconds: some clients take an empty page for the end of the list.
    """
    deadline = time.monotonic() + _MAX_SEARCH_SECONDS
    while True:
        statement_filter = build_filter(query)
        page = await load(statement_filter)
        if page.statements or page.last_sequence is None or time.monotonic() > deadline:
            return statement_filter, page
        query = replace(query, cursor=Cursor(page.last_sequence, watermark))


def _only_authority(caller: Caller) -> int | None:
    """The authority whose statements the caller may read; None if it may read all."""
    return None if scopes.STATEMENTS_READ in caller.scopes else caller.authority_key


def _more(request: Request, query: StatementQuery, cursor: Cursor) -> str:
    """The relative IRL of the next page, with the parameters of this one."""
    return (
        f"{urls.base_path(request.scope)}{_more_prefix(request['path'], query.parameters)}{cursor}"
    )


@lru_cache(128)
def _more_prefix(path: str, parameters: tuple[tuple[str, str], ...]) -> str:
    """The IRL without the value of the cursor: the same for all pages of a list."""
    return f"{quote(path)}?{urlencode([*parameters, ('cursor', '')])}"


async def _format(
    statements: bytes, query: StatementQuery, request: Request, caller: Caller
) -> tuple[bytes, int | None]:
    """The statements in the requested format; if that exceeds the page size, a smaller limit."""
    if query.format == "exact":
        return statements, None
    formatter = Formatter(
        request_parsing.services(request),
        caller.partner_id,
        formats.accepted_languages(request.headers.get("accept-language")),
        reads_all=_only_authority(caller) is None,
    )
    if query.format == "ids":
        return await formatter.ids(statements), None
    return await formatter.canonical(statements)


async def _multipart_response(
    request: Request, caller: Caller, result: StatementResult
) -> Response:
    """The result and the content of its attachments, streamed (Communication 1.5.2).

    Raises Overloaded if the client has too many responses to read.
    """
    services = request_parsing.services(request)
    database = services.database
    hashes = await services.thread.run(
        caller.partner_id, _attachment_hashes, result.statements, _only_authority(caller) is None
    )
    sizes = await attachments.list_sizes(database, caller.partner_id, [*hashes]) if hashes else {}
    admission(request.scope).hold_response(len(result.text) + attachments.max_chunk_size(sizes))
    boundary = token_hex(20)  # too long to occur in the content

    async def parts() -> AsyncIterator[bytes]:
        yield multipart.statements_part(result.text, boundary)
        contents = attachments.stream_contents(database, caller.partner_id, sizes)
        async for sha2, content in contents:
            yield multipart.attachment_head(boundary, sha2, hashes[sha2])
            yield content
        yield multipart.closing_boundary(boundary)

    return StreamingResponse(
        parts(), headers=result.headers, media_type=multipart.content_type(boundary)
    )


def _attachment_hashes(statements: bytes, reads_all: bool) -> dict[str, str]:
    """Pairs of SHA-2 and content type of the attachments of statements.

    A caller that may read only its own statements gets only contents that it has sent: those
    without a fileUrl, for which the LRS requires the bytes. A fileUrl with the SHA-2 of another
    authority's attachment would return that.
    """
    return {
        sha2: content_type
        for statement in parse(statements)
        for sha2, content_type in attachment_rules.attachment_hashes(statement, with_url=reads_all)
    }
