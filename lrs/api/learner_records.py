"""Learner records of one learner or one content item, as JSON and CSV."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from lrs import cursors
from lrs.api import access, request_parsing, urls
from lrs.api.responses import (
    csv_response,
    json_response,
    report_headers,
    report_members,
    timestamp,
)
from lrs.auth import scopes
from lrs.auth.authenticate import Caller
from lrs.errors import NotFound
from lrs.projection import lag
from lrs.projection.lag import ReportWatermark
from lrs.reports import csv_cells, identifiers, learner_records, record_query
from lrs.reports.encoders import BYTE_ORDER_MARK
from lrs.reports.learner_records import RecordPage
from lrs.reports.record_query import RecordQuery


async def get_learner_records(request: Request) -> Response:
    caller = await access.authorize_partner(request, scopes.REPORTS_READ)
    query = _parse_query(request)
    learner = identifiers.parse_learner(
        _path_name(request, "learner"),
        caller.home_page,
        folds_case=caller.partner_settings.fold_mail_case,
    )
    watermark = await _report_watermark(request, caller)
    page = await learner_records.fetch_by_learner(
        request_parsing.services(request).database, caller.partner_id, learner, query
    )
    return _response(request, query, page, "learner", watermark)


async def get_content_records(request: Request) -> Response:
    caller = await access.authorize_partner(request, scopes.REPORTS_READ)
    query = _parse_query(request)
    content = identifiers.parse_content(_path_name(request, "content"), caller.home_page)
    watermark = await _report_watermark(request, caller)
    page = await learner_records.fetch_by_content(
        request_parsing.services(request).database, caller.partner_id, content, query
    )
    return _response(request, query, page, "content", watermark)


def _parse_query(request: Request) -> RecordQuery:
    return record_query.parse(
        request_parsing.query_parameters(request),
        page_size=request_parsing.services(request).settings.max_page_size,
        organization=request_parsing.organization(request),
    )


def _path_name(request: Request, parameter: str) -> str:
    """The learner or content item in the path. Raises NotFound for NUL, which no name contains."""
    name: str = request.path_params[parameter]
    if "\0" in name:
        subject = {"learner": "Learner", "content": "Content item"}[parameter]
        raise NotFound(f"{subject} not found.")
    return name


async def _report_watermark(request: Request, caller: Caller) -> ReportWatermark:
    """The watermark of the reports; records that are read after it are at least as recent."""
    services = request_parsing.services(request)
    watermark = await services.watermark_reader.cached_watermark(caller.partner_id)
    return await lag.report_watermark(services.database, caller.partner_id, watermark)


def _response(
    request: Request, query: RecordQuery, page: RecordPage, subject: str, watermark: ReportWatermark
) -> Response:
    more = _more(request, query, page)
    headers = report_headers(watermark)
    if more:
        headers["Link"] = f'<{more}>; rel="next"'
    if _accepts_csv(request):
        text = f"{BYTE_ORDER_MARK if query.bom else ''}{_csv(page, raw=query.raw)}"
        return csv_response(text, f"{subject}_records.csv", headers)
    body = {
        subject: page.subject,
        "records": [_serialize(record) for record in page.records],
        "more": more,
        **report_members(watermark),
    }
    return json_response(body, headers=headers)


def _more(request: Request, query: RecordQuery, page: RecordPage) -> str:
    """The relative URL of the next page, with the parameters of this one; "" on the last page."""
    if page.last_position is None:
        return ""
    cursor = cursors.encode(page.last_position)
    parameters = urlencode([*query.parameters, ("cursor", cursor)])
    return f"{urls.base_path(request.scope)}{request_parsing.raw_path(request.scope)}?{parameters}"


def _accepts_csv(request: Request) -> bool:
    """Whether the path ends with .csv, or CSV is the first media type in Accept."""
    accepted = request.headers.get("accept", "").partition(",")[0].partition(";")[0]
    return request["path"].endswith(".csv") or accepted.strip().lower() == "text/csv"


def _csv(page: RecordPage, *, raw: bool) -> str:
    rows = (_csv_row(record) for record in page.records)
    return csv_cells.write_csv(learner_records.COLUMNS, rows, raw=raw)


def _csv_row(record: dict[str, Any]) -> dict[str, Any]:
    success = {True: "true", False: "false", None: ""}[record["success"]]
    return {**_serialize(record), "success": success}


def _serialize(record: dict[str, Any]) -> dict[str, Any]:
    return {
        name: timestamp(value) if isinstance(value, datetime) else value
        for name, value in record.items()
    }
