"""GET /statements: the same on the partner interface and on the xAPI interface."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from secrets import token_hex
from typing import Any
from urllib.parse import quote, urlencode

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from lrs.api import request_parsing
from lrs.api.responses import CONSISTENT_THROUGH, http_date, timestamp
from lrs.api.services import Services
from lrs.auth import scopes
from lrs.auth.authenticate import Caller
from lrs.errors import NotFound
from lrs.store.statements import attachments, definitions, filters, page_loader
from lrs.xapi import formats, multipart, statement_query
from lrs.xapi.definitions import activity_ids
from lrs.xapi.statement_query import Cursor, StatementQuery


@dataclass(frozen=True, slots=True)
class Found:
    """What answers a query: the JSON text, and the stored statements in it, with commas between."""

    text: bytes
    statements: bytes
    headers: Mapping[str, str]


async def answer(request: Request, who: Caller, organization: str | None) -> Response:
    """The statement or the page that is asked for (xAPI 1.0.3 Communication 2.1.3)."""
    scopes.require(who.scopes, scopes.STATEMENTS_READ, scopes.STATEMENTS_READ_MINE)
    here = request_parsing.services(request)
    asked = _asked(request.scope["query_string"], here.settings.max_page_size)
    find = _one if asked.statement_id or asked.voided_statement_id else _page
    found = await find(request, asked, who, organization)
    if asked.attachments:
        return _with_attachments(here, who, found)
    return Response(found.text, headers=found.headers, media_type="application/json")


@lru_cache(256)
def _asked(query_string: bytes, page_size: int) -> StatementQuery:
    """What a query asks for; those who wait for news ask for the same again and again."""
    return statement_query.parse(request_parsing.parsed(query_string), page_size=page_size)


async def _one(
    request: Request, asked: StatementQuery, who: Caller, organization: str | None
) -> Found:
    here = request_parsing.services(request)
    statement_id = str(asked.statement_id or asked.voided_statement_id)
    bound = timestamp(await here.watermark_reader.cached_watermark())
    found = await here.statement_loader.load(who.partner_id, statement_id)
    visible = (
        found is not None
        and found.voided == (asked.voided_statement_id is not None)
        and organization in (None, found.organization)
        and _only_authority(who) in (None, found.authority_key)
    )
    if found is None or not visible:
        raise NotFound(
            f"There is no statement {statement_id} here.", headers={CONSISTENT_THROUGH: bound}
        )
    text, _ = await _formatted(found.payload, asked, request, who)
    headers = {
        CONSISTENT_THROUGH: bound,
        "Last-Modified": http_date(found.stored),
        "Cache-Control": "no-cache",  # it may be voided; a browser would guess from its age
    }
    return Found(text, found.payload, headers)


async def _page(
    request: Request, asked: StatementQuery, who: Caller, organization: str | None
) -> Found:
    here = request_parsing.services(request)
    seen = await here.watermark_reader.take_reading()
    bound = min(seen.watermark, asked.cursor.consistent_through) if asked.cursor else seen.watermark
    selection = filters.build_filter(
        asked, watermark=bound, authority_key=_only_authority(who), organization=organization
    )
    fitting: int | None = selection.limit
    while fitting:
        selection = replace(selection, limit=fitting)
        page = await here.page_loader.load(who.partner_id, selection, seen.now)
        text, fitting = await _formatted(page.statements, asked, request, who)
    last = Cursor(page.last_sequence, bound) if page.last_sequence is not None else None
    more = orjson.dumps(_more(request, asked, last) if last else "")
    text = b"".join((b'{"statements":[', text, b'],"more":', more, b"}"))
    return Found(text, page.statements, {CONSISTENT_THROUGH: timestamp(bound)})


def _only_authority(who: Caller) -> int | None:
    """The one authority whose statements the caller may read, unless it may read all."""
    return None if scopes.STATEMENTS_READ in who.scopes else who.authority_key


def _more(request: Request, asked: StatementQuery, cursor: Cursor) -> str:
    """Where the next page is: an IRL relative to the server, with all that was asked for."""
    prefix = request_parsing.services(request).settings.base_path
    return f"{prefix}{_without_cursor(request['path'], asked.parameters)}{cursor}"


@lru_cache(128)
def _without_cursor(path: str, parameters: tuple[tuple[str, str], ...]) -> str:
    """The same for each page of a list."""
    return f"{quote(path)}?{urlencode([*parameters, ('cursor', '')])}"


async def _formatted(
    statements: bytes, asked: StatementQuery, request: Request, who: Caller
) -> tuple[bytes, int | None]:
    """The statements in the form asked for; or, if that is too large, how many to try instead."""
    if asked.format == "exact":
        return statements, None
    parsed = _parsed(statements)
    if asked.format == "ids":
        return b",".join(orjson.dumps(formats.ids(each)) for each in parsed), None
    return await _canonical(parsed, request, who)


async def _canonical(
    parsed: list[dict[str, Any]], request: Request, who: Caller
) -> tuple[bytes, int | None]:
    """The same in the canonical form, which grows by definitions that other statements brought."""
    languages = formats.accepted_languages(request.headers.get("accept-language"))
    spoken_of = {activity for each in parsed for activity in activity_ids(each)}
    database = request_parsing.services(request).database
    known = await definitions.definitions(
        database, who.partner_id, spoken_of, page_loader.MAX_PAGE_BYTES
    )
    if None in known.values() and len(parsed) > 1:
        return b"", len(parsed) // 2
    texts: list[bytes] = []
    size = 0
    for each in parsed:
        text = orjson.dumps(formats.canonical(each, known, languages))
        size += len(text)
        if texts and size > page_loader.MAX_PAGE_BYTES:
            return b"", len(texts)
        texts.append(text)
    return b",".join(texts), None


def _parsed(statements: bytes) -> list[dict[str, Any]]:
    parsed: list[dict[str, Any]] = orjson.loads(b"[%b]" % statements)
    return parsed


def _with_attachments(here: Services, who: Caller, found: Found) -> Response:
    """The text and the contents that its statements name (Communication 1.5.2), as they come."""
    named: dict[str, str] = {}
    for each in _parsed(found.statements):
        named.update(multipart.attachment_hashes(each))
    boundary = token_hex(20)  # letters and digits that stand in no content, in all likelihood

    async def parts() -> AsyncIterator[bytes]:
        yield multipart.statements_part(found.text, boundary)
        if named:
            kept = attachments.stream_contents(here.database, who.partner_id, list(named))
            async for sha2, content in kept:
                yield multipart.attachment_head(boundary, sha2, named[sha2])
                yield content
        yield multipart.closing_boundary(boundary)

    return StreamingResponse(
        parts(), headers=found.headers, media_type=multipart.content_type(boundary)
    )
