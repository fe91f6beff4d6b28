"""Learner records, by learner and by content item, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from lrs.api import request_parsing
from lrs.api.responses import json_response, reports_through, timestamp
from lrs.auth import scopes
from lrs.auth.authenticate import Caller
from lrs.errors import NotFound
from lrs.projection import lag
from lrs.projection.lag import ReportWatermark
from lrs.reports import identifiers, learner_records
from lrs.reports import record_query as queries
from lrs.reports.learner_records import RecordPage
from lrs.reports.record_query import RecordQuery


async def get_learner_records(request: Request) -> Response:
    who, asked = await _reader(request), _asked(request)
    learner = identifiers.parse_learner(_named(request, "learner"), who.home_page)
    watermark = await _watermark(request, who)
    page = await learner_records.fetch_by_learner(
        request_parsing.services(request).database, who.partner_id, learner, asked
    )
    return _answer(request, asked, page, "learner", watermark)


async def get_content_records(request: Request) -> Response:
    who, asked = await _reader(request), _asked(request)
    content = identifiers.parse_content(_named(request, "content"), who.home_page)
    watermark = await _watermark(request, who)
    page = await learner_records.fetch_by_content(
        request_parsing.services(request).database, who.partner_id, content, asked
    )
    return _answer(request, asked, page, "content", watermark)


async def _reader(request: Request) -> Caller:
    who = await request_parsing.partner(request)
    scopes.require(who.scopes, scopes.REPORTS_READ)
    return who


def _asked(request: Request) -> RecordQuery:
    return queries.parse(
        request_parsing.parameters(request),
        page_size=request_parsing.services(request).settings.max_page_size,
        organization=request_parsing.organization(request),
    )


def _named(request: Request, kind: str) -> str:
    """The learner or content item in the path. Raises NotFound for what the store cannot keep."""
    name: str = request.path_params[kind]
    if "\0" in name:
        raise NotFound(f"{'Learner' if kind == 'learner' else 'Content item'} not found.")
    return name


async def _watermark(request: Request, who: Caller) -> ReportWatermark:
    """How far the records go that are read after this."""
    here = request_parsing.services(request)
    return await lag.report_watermark(
        here.database, who.partner_id, await here.watermark_reader.cached_watermark()
    )


def _answer(
    request: Request, asked: RecordQuery, page: RecordPage, subject: str, watermark: ReportWatermark
) -> Response:
    more = _more(request, asked, page)
    headers = reports_through(watermark.consistent_through)
    if more:
        headers["Link"] = f'<{more}>; rel="next"'
    if _wants_csv(request):
        return Response(_csv(page), headers=headers, media_type="text/csv")
    body = {
        subject: page.subject,
        "records": [_shown(each) for each in page.records],
        "more": more,
        "through": timestamp(watermark.consistent_through),
        "lag_seconds": watermark.lag_seconds,
    }
    return json_response(body, headers=headers)


def _more(request: Request, asked: RecordQuery, page: RecordPage) -> str:
    """Where the next page is, with all that was asked for; empty if there is none."""
    if page.last_position is None:
        return ""
    path = request_parsing.services(request).settings.base_path
    given = urlencode([*asked.parameters, ("cursor", queries.encode_cursor(page.last_position))])
    return f"{path}{request_parsing.raw_path(request.scope)}?{given}"


def _wants_csv(request: Request) -> bool:
    """Whether the path says so, or the media type that is accepted first."""
    accepted = request.headers.get("accept", "").partition(",")[0].partition(";")[0]
    return request["path"].endswith(".csv") or accepted.strip().lower() == "text/csv"


def _csv(page: RecordPage) -> str:
    text = io.StringIO()
    table = csv.DictWriter(text, learner_records.COLUMNS)
    table.writeheader()
    table.writerows(_cells(each) for each in page.records)
    return text.getvalue()


def _cells(record: dict[str, Any]) -> dict[str, Any]:
    words = {True: "true", False: "false", None: ""}
    return {**_shown(record), "success": words[record["success"]]}


def _shown(record: dict[str, Any]) -> dict[str, Any]:
    return {
        name: timestamp(value) if isinstance(value, datetime) else value
        for name, value in record.items()
    }
