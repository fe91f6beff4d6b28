"""Tables of reports and statements as files: CSV, JSON, JSON lines and Parquet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast, get_args

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from lrs.api import request_parsing
from lrs.api.responses import json_response, reports_through, timestamp
from lrs.api.services import Services
from lrs.auth import scopes
from lrs.auth.authenticate import Caller
from lrs.errors import NotFound
from lrs.projection import lag
from lrs.reports import compression, encoders
from lrs.reports.compression import Compression
from lrs.reports.encoders import Format
from lrs.reports.export_stream import ExportStream, metadata
from lrs.reports.exports import ExportQuery
from lrs.reports.tables import STATEMENTS, TABLES, Table
from lrs.xapi import query_params

_SECTION = "docs/reporting.md, Export"


async def get_tables(request: Request) -> Response:
    who = await request_parsing.partner(request)
    scopes.require(who.scopes, scopes.REPORTS_READ)
    query_params.parse(request_parsing.parameters(request), {}, section=_SECTION)
    here = request_parsing.services(request)
    bound = await here.watermark_reader.cached_watermark()
    watermark = await lag.report_watermark(here.database, who.partner_id, bound)
    body = {
        "tables": [_described(table) for table in TABLES.values()],
        "through": timestamp(watermark.consistent_through),
        "lag_seconds": watermark.lag_seconds,
    }
    return json_response(body, headers=reports_through(watermark.consistent_through))


def _described(table: Table) -> dict[str, Any]:
    return {
        "name": table.name,
        "kind": table.kind,
        "description": table.description,
        "incremental": table.daily or table is STATEMENTS,
        "columns": [{"name": each.name, "type": each.type} for each in table.columns],
    }


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for: a compressed file (`packed`), or a compressed transfer (`coded`)."""

    table: Table
    format: Format
    since: datetime | None
    packed: Compression | None
    coded: Compression | None


async def get_table(request: Request) -> Response:
    who = await request_parsing.partner(request)
    asked = _asked(request, who)
    sending = _sent(request_parsing.services(request), who, asked)
    portion = cast(ExportQuery, await anext(sending))
    headers = _headers(portion, asked)
    if request.method == "HEAD":
        await sending.aclose()
        response = Response(headers=headers)
        del response.headers["content-length"]  # it is not known before it is sent
        return response
    return StreamingResponse(cast(AsyncIterator[bytes], sending), headers=headers)


def _asked(request: Request, who: Caller) -> Asked:
    table, format_ = _named(request.path_params["table"])
    needed = scopes.STATEMENTS_READ if table is STATEMENTS else scopes.REPORTS_READ
    scopes.require(who.scopes, needed)
    given = query_params.parse(request_parsing.parameters(request), _READERS, section=_SECTION)
    packed, accepted = given.get("compress"), request.headers.get("accept-encoding")
    coded = None if packed or format_ == "parquet" else compression.negotiate_compression(accepted)
    return Asked(table, format_, given.get("since"), packed, coded)


def _named(name: str) -> tuple[Table, Format]:
    stem, _, suffix = name.partition(".")
    if "." not in name:
        suffix = "json"
    if stem not in TABLES or suffix not in get_args(Format):
        raise NotFound(
            f"There is no report {name[:80]!r}: the list of reports names them, and each can be "
            f"had with .{', .'.join(get_args(Format))}."
        )
    return TABLES[stem], cast(Format, suffix)


async def _sent(
    here: Services, who: Caller, asked: Asked
) -> AsyncGenerator[ExportQuery | bytes, None]:
    """What is sent, then its bytes. Whoever goes away gives the connection back by that."""
    async with here.exports.snapshot(who.partner_id) as snapshot:
        portion = await snapshot.query(asked.table, asked.since)
        compress = asked.packed or asked.coded
        # The first Parquet loads pyarrow, which takes a while.
        export = await asyncio.to_thread(ExportStream, snapshot, portion, asked.format, compress)
        yield portion
        async with aclosing(aiter(export)) as content:
            async for part in content:
                yield part


def _headers(portion: ExportQuery, asked: Asked) -> dict[str, str]:
    said, kind = metadata(portion), encoders.MEDIA_TYPES[asked.format]
    replaces = said["replaces"]
    name = f"{asked.table.name}.{asked.format}{compression.SUFFIXES[asked.packed]}"
    headers = {
        **reports_through(portion.watermark.consistent_through),
        "Content-Type": compression.MEDIA_TYPES[asked.packed] if asked.packed else kind,
        "Content-Disposition": f'attachment; filename="{name}"',
        "Vary": "Accept-Encoding",
        "Lrs-Reports-Lag": f"{said['lag_seconds']:.3f}",
        "Lrs-Cursor": said["cursor"],
        "Lrs-Replaces": replaces if isinstance(replaces, str) else ",".join(replaces) or "none",
    }
    return headers | ({"Content-Encoding": asked.coded} if asked.coded else {})


def _compression(text: str) -> str:
    if text not in get_args(Compression):
        raise ValueError("gzip or zstd")
    return text


_READERS: dict[str, query_params.Parser] = {
    "since": query_params.timestamp,
    "compress": _compression,
}
