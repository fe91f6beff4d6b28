"""The list of all learner records of a partner: pages as JSON, files as CSV, NDJSON and Parquet."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from lrs import cursors
from lrs.api import access, download_response, request_parsing, urls
from lrs.api.downloads import Download, FileRequest
from lrs.api.responses import (
    download_headers,
    json_response,
    report_headers,
    report_members,
    timestamp,
)
from lrs.auth import scopes
from lrs.auth.authenticate import Caller
from lrs.projection import lag
from lrs.reports import compression, encoders, record_list, record_list_query
from lrs.reports.encoders import Format
from lrs.reports.record_list import RECORDS
from lrs.reports.record_list_query import ListCursor, RecordListQuery

_UPDATED_THROUGH = "Lrs-Updated-Through"
_FORMATS: tuple[Format, ...] = ("csv", "ndjson", "parquet")


async def get_records(request: Request) -> Response:
    """A page of records as JSON, or a file for another media type in Accept."""
    caller = await access.authorize_partner(request, scopes.REPORTS_READ)
    if format_ := _accepted_format(request):
        return await _file(request, caller, format_)
    query = _parse(request, caller, is_file=False)
    services = request_parsing.services(request)
    watermark = await lag.report_watermark(
        services.database,
        caller.partner_id,
        await services.watermark_reader.cached_watermark(caller.partner_id),
    )
    page = await record_list.fetch_page(services.database, caller.partner_id, query)
    body = {
        "records": [_serialize(record) for record in page.records],
        "more": _more(request, query, page.next_cursor),
        "updated_through": timestamp(page.updated_through),
        **report_members(watermark),
    }
    return json_response(
        body,
        headers={
            **report_headers(watermark),
            **_list_headers(request, query, page.updated_through, page.next_cursor),
        },
    )


async def get_records_csv(request: Request) -> Response:
    return await _authorized_file(request, "csv")


async def get_records_ndjson(request: Request) -> Response:
    return await _authorized_file(request, "ndjson")


async def get_records_parquet(request: Request) -> Response:
    return await _authorized_file(request, "parquet")


async def _authorized_file(request: Request, format_: Format) -> Response:
    caller = await access.authorize_partner(request, scopes.REPORTS_READ)
    return await _file(request, caller, format_)


async def _file(request: Request, caller: Caller, format_: Format) -> Response:
    """All records that match, streamed; with `limit` a page of them."""
    query = _parse(request, caller, is_file=True)
    coding = None
    if not query.compress and format_ != "parquet":  # Parquet is compressed already
        coding = compression.negotiate_compression(request.headers.get("accept-encoding"))
    csv = encoders.csv_options(format_, raw=query.raw, bom=query.bom)
    file = FileRequest(RECORDS, None, format_, query.compress or coding, csv, records=query)
    encoded = {"Content-Encoding": coding} if coding else {}
    return await download_response.respond(
        request,
        caller.partner_id,
        file,
        lambda download: {**_file_headers(request, query, download, file), **encoded},
    )


def _file_headers(
    request: Request, query: RecordListQuery, download: Download, file: FileRequest
) -> dict[str, str]:
    media_type = encoders.MEDIA_TYPES[file.format]
    if query.compress:
        media_type = compression.MEDIA_TYPES[query.compress]
    name = f"records.{file.format}{compression.SUFFIXES[query.compress]}"
    watermark = download.query.watermark
    return {
        **report_headers(watermark),
        **_list_headers(request, query, download.query.cursor, download.next_cursor),
        **download_headers(name),
        "Content-Type": media_type,
        "Vary": "Accept, Accept-Encoding",
        "Lrs-Reports-Lag": f"{watermark.lag_seconds:.3f}",
    }


def _parse(request: Request, caller: Caller, *, is_file: bool) -> RecordListQuery:
    return record_list_query.parse(
        request_parsing.query_parameters(request),
        home_page=caller.home_page,
        page_size=request_parsing.services(request).settings.max_page_size,
        is_file=is_file,
        folds_mail_case=caller.partner_settings.fold_mail_case,
        organization=request_parsing.organization(request),
    )


def _list_headers(
    request: Request, query: RecordListQuery, updated_through: datetime, next_: ListCursor | None
) -> dict[str, str]:
    headers = {_UPDATED_THROUGH: timestamp(updated_through)}
    if more := _more(request, query, next_):
        headers["Link"] = f'<{more}>; rel="next"'
    return headers


def _more(request: Request, query: RecordListQuery, next_: ListCursor | None) -> str:
    """The relative URL of the next page, with the parameters of this one; "" on the last page."""
    if next_ is None:
        return ""
    cursor = cursors.encode(next_)
    parameters = urlencode([*query.parameters, ("cursor", cursor)])
    return f"{urls.base_path(request.scope)}{request_parsing.raw_path(request.scope)}?{parameters}"


def _accepted_format(request: Request) -> Format | None:
    """The format of the first media type in Accept, None for JSON and any other."""
    accepted = request.headers.get("accept", "").partition(",")[0].partition(";")[0]
    types = {encoders.MEDIA_TYPES[name].partition(";")[0]: name for name in _FORMATS}
    return types.get(accepted.strip().lower())


def _serialize(record: dict[str, Any]) -> dict[str, Any]:
    return {
        name: timestamp(value) if isinstance(value, datetime) else value
        for name, value in record.items()
    }
