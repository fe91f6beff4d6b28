"""GET /statements: the same on the partner interface and on the xAPI interface."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

import orjson
from starlette.requests import Request
from starlette.responses import Response

from lrs.api import reading
from lrs.api.responses import CONSISTENT_THROUGH, timestamp
from lrs.auth import scopes
from lrs.auth.authenticate import Caller
from lrs.errors import NotFound
from lrs.store import pages, statements
from lrs.xapi import formats, query
from lrs.xapi.query import Cursor, StatementQuery


async def answer(request: Request, who: Caller, organization: str | None) -> Response:
    """The statement or the page that is asked for (xAPI 1.0.3 Communication 2.1.3)."""
    scopes.require(who.scopes, scopes.STATEMENTS_READ, scopes.STATEMENTS_READ_MINE)
    here = reading.services(request)
    asked = query.parse(request.query_params.multi_items(), page_size=here.settings.page_size)
    mine = None if scopes.STATEMENTS_READ in who.scopes else who.authority_key
    if asked.statement_id or asked.voided_statement_id:
        return await _one(request, who, organization, mine, asked)
    return await _page(request, who, organization, mine, asked)


async def _one(
    request: Request,
    who: Caller,
    organization: str | None,
    mine: int | None,
    asked: StatementQuery,
) -> Response:
    here = reading.services(request)
    statement_id = str(asked.statement_id or asked.voided_statement_id)
    bound = await here.horizon.recent()
    found = await statements.one(here.database, who.partner_id, statement_id)
    visible = (
        found is not None
        and found.voided == (asked.voided_statement_id is not None)
        and organization in (None, found.organization)
        and mine in (None, found.authority_key)
    )
    if found is None or not visible:
        raise NotFound(
            f"There is no statement {statement_id} here.",
            headers={CONSISTENT_THROUGH: timestamp(bound)},
        )
    (text,) = _formatted([found.payload], asked, request)
    modified = found.stored.strftime("%a, %d %b %Y %H:%M:%S GMT")
    return Response(
        text,
        headers={CONSISTENT_THROUGH: timestamp(bound), "Last-Modified": modified},
        media_type="application/json",
    )


async def _page(
    request: Request,
    who: Caller,
    organization: str | None,
    mine: int | None,
    asked: StatementQuery,
) -> Response:
    here = reading.services(request)
    bound = await here.horizon.complete()
    selection = pages.select(asked, horizon=bound, authority_key=mine, organization=organization)
    rows, more = await pages.page(here.database, who.partner_id, selection)
    texts = _formatted([row.payload for row in rows], asked, request)
    link = _more(request, asked, Cursor(rows[-1].stored, rows[-1].statement_id)) if more else ""
    content = f'{{"statements":[{",".join(texts)}],"more":{orjson.dumps(link).decode()}}}'
    return Response(
        content,
        headers={CONSISTENT_THROUGH: timestamp(bound)},
        media_type="application/json",
    )


def _more(request: Request, asked: StatementQuery, cursor: Cursor) -> str:
    """Where the next page is: an IRL relative to the server, with all that was asked for."""
    return f"{request.url.path}?{urlencode([*asked.parameters, ('cursor', str(cursor))])}"


def _formatted(payloads: Sequence[str], asked: StatementQuery, request: Request) -> Sequence[str]:
    if asked.format == "exact":
        return payloads
    parsed = [orjson.loads(payload) for payload in payloads]
    if asked.format == "ids":
        return [orjson.dumps(formats.ids(each)).decode() for each in parsed]
    languages = formats.accepted_languages(request.headers.get("accept-language"))
    return [orjson.dumps(formats.canonical(each, {}, languages)).decode() for each in parsed]
