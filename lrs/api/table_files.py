"""The file of a report table: CSV, JSON, JSON Lines and Parquet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast, get_args

from starlette.requests import Request
from starlette.responses import Response

from lrs.api import download_response, request_parsing
from lrs.api.downloads import FileRequest
from lrs.api.responses import download_headers, report_headers
from lrs.auth import scopes
from lrs.auth.authenticate import Caller
from lrs.errors import NotFound
from lrs.reports import compression, encoders
from lrs.reports.compression import Compression
from lrs.reports.encoders import Format
from lrs.reports.export_stream import metadata
from lrs.reports.exports import ExportQuery
from lrs.reports.table_model import Table
from lrs.reports.tables import STATEMENTS, TABLES
from lrs.xapi import query_params

SECTION = "docs/exports.md"


@dataclass(frozen=True, slots=True)
class TableRequest:
    """The requested file.

    `compression` compresses the file, `content_encoding` only the transfer.
    """

    file: FileRequest
    compression: Compression | None
    content_encoding: Compression | None


async def response(request: Request, caller: Caller) -> Response:
    """The table in the path, for a caller with the scope."""
    table_request = _parse(request, caller)
    return await download_response.respond(
        request,
        caller.partner_id,
        table_request.file,
        lambda download: _headers(download.query, table_request),
    )


def _parse(request: Request, caller: Caller) -> TableRequest:
    """Raises NotFound, MissingScope and InvalidParameter."""
    table, table_format = _parse_name(request.path_params["table"])
    sufficient = scopes.STATEMENTS_READ if table is STATEMENTS else scopes.REPORTS_READ
    scopes.require(caller.scopes, sufficient)
    query = query_params.parse(request_parsing.query_parameters(request), _PARSERS, section=SECTION)
    compress, accepted = query.get("compress"), request.headers.get("accept-encoding")
    content_encoding = None
    if not compress and table_format != "parquet":  # Parquet is compressed already
        content_encoding = compression.negotiate_compression(accepted)
    file = FileRequest(
        table,
        query.get("since"),
        table_format,
        compress or content_encoding,
        encoders.csv_options(
            table_format, raw=query.get("raw", False), bom=query.get("bom", False)
        ),
    )
    return TableRequest(file, compress, content_encoding)


def _parse_name(name: str) -> tuple[Table, Format]:
    stem, _, suffix = name.partition(".")
    if "." not in name:
        suffix = "json"
    if stem not in TABLES or suffix not in get_args(Format):
        raise NotFound(
            f"Report {name[:80]!r} not found. The list of reports has all names; the formats are "
            f".{', .'.join(get_args(Format))}."
        )
    return TABLES[stem], cast(Format, suffix)


def _headers(export_query: ExportQuery, table_request: TableRequest) -> dict[str, str]:
    file, values = table_request.file, metadata(export_query)
    replaces, compress = values["replaces"], table_request.compression
    media_type = encoders.MEDIA_TYPES[file.format]
    name = f"{file.table.name}.{file.format}{compression.SUFFIXES[compress]}"
    headers = {
        **report_headers(export_query.watermark),
        "Content-Type": compression.MEDIA_TYPES[compress] if compress else media_type,
        **download_headers(name),
        "Vary": "Accept-Encoding",
        "Lrs-Reports-Lag": f"{values['lag_seconds']:.3f}",
        "Lrs-Cursor": values["cursor"],
        "Lrs-Replaces": replaces if isinstance(replaces, str) else ",".join(replaces) or "none",
    }
    if table_request.content_encoding:
        headers["Content-Encoding"] = table_request.content_encoding
    return headers


_PARSERS: dict[str, query_params.Parser] = {
    "since": query_params.timestamp,
    "compress": compression.compression_name,
    "raw": query_params.boolean,
    "bom": query_params.boolean,
}
