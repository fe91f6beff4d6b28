"""Tables of reports and statements as files: CSV, JSON, JSON lines and Parquet."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import datetime
from typing import Any, cast, get_args

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from lrs.api import reading
from lrs.api.responses import json_response, reports_through, timestamp
from lrs.api.routing import resource
from lrs.api.services import Services
from lrs.auth import scopes
from lrs.auth.authenticate import Caller
from lrs.errors import NotFound
from lrs.exporting import Export, told
from lrs.reporting import compression, encoders
from lrs.reporting.compression import Compression
from lrs.reporting.encoders import Format
from lrs.reporting.tables import STATEMENTS, TABLES, Table
from lrs.store import projection
from lrs.store.exports import Portion
from lrs.xapi import parameters

_SECTION = "docs/reporting.md, Export"


async def get_tables(request: Request) -> Response:
    who = await reading.partner(request)
    scopes.require(who.scopes, scopes.REPORTS_READ)
    parameters.read(reading.parameters(request), {}, section=_SECTION)
    here = reading.services(request)
    bound = await here.horizon.recent()
    reached = await projection.reached(here.database, who.partner_id, bound)
    body = {
        "tables": [_described(table) for table in TABLES.values()],
        "through": timestamp(reached.through),
        "lag_seconds": reached.lag_seconds,
    }
    return json_response(body, headers=reports_through(reached.through))


def _described(table: Table) -> dict[str, Any]:
    return {
        "name": table.name,
        "kind": table.kind,
        "description": table.description,
        "incremental": table.daily or table is STATEMENTS,
        "columns": [{"name": each.name, "type": each.type} for each in table.columns],
    }


async def get_table(request: Request) -> Response:
    who = await reading.partner(request)
    table, format_ = _named(request.path_params["table"])
    needed = scopes.STATEMENTS_READ if table is STATEMENTS else scopes.REPORTS_READ
    scopes.require(who.scopes, needed)
    asked = parameters.read(reading.parameters(request), _READERS, section=_SECTION)
    packed = asked.get("compress")
    coding = None if packed or format_ == "parquet" else _accepted(request)
    sending = _sent(
        reading.services(request), who, table, asked.get("since"), format_, packed or coding
    )
    portion = cast(Portion, await anext(sending))
    headers = _headers(portion, format_, packed, coding)
    if request.method == "HEAD":
        await sending.aclose()
        return Response(headers=headers)
    return StreamingResponse(cast(AsyncIterator[bytes], sending), headers=headers)


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


def _accepted(request: Request) -> Compression | None:
    return compression.accepted(request.headers.get("accept-encoding"))


async def _sent(
    here: Services,
    who: Caller,
    table: Table,
    since: datetime | None,
    format_: Format,
    compress: Compression | None,
) -> AsyncGenerator[Portion | bytes, None]:
    """What is sent, then its bytes. Whoever goes away gives the connection back by that."""
    async with here.exports.snapshot(who.partner_id) as snapshot:
        portion = await snapshot.portion(table, since)
        export = Export(snapshot, portion, format_, compress)
        yield portion
        async with aclosing(aiter(export)) as content:
            async for part in content:
                yield part


def _headers(
    portion: Portion, format_: Format, packed: Compression | None, coding: Compression | None
) -> dict[str, str]:
    said = told(portion)
    replaces = said["replaces"]
    name = f"{portion.table.name}.{format_}{compression.SUFFIXES[packed]}"
    headers = {
        **reports_through(portion.reached.through),
        "Content-Type": compression.MEDIA_TYPES[packed]
        if packed
        else encoders.MEDIA_TYPES[format_],
        "Content-Disposition": f'attachment; filename="{name}"',
        "Vary": "Accept-Encoding",
        "Lrs-Reports-Lag": f"{said['lag_seconds']:.3f}",
        "Lrs-Cursor": said["cursor"],
        "Lrs-Replaces": replaces if isinstance(replaces, str) else ",".join(replaces) or "none",
    }
    if coding:
        headers["Content-Encoding"] = coding
    return headers


def _compression(text: str) -> str:
    if text not in get_args(Compression):
        raise ValueError("gzip or zstd")
    return text


_READERS: dict[str, parameters.Reader] = {
    "since": parameters.timestamp,
    "compress": _compression,
}

ROUTES = [
    resource("/v1/partners/{partner}/reports", get=get_tables),
    resource("/v1/partners/{partner}/reports/{table}", get=get_table),
]
