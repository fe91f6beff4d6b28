"""Import of people, and its preview (scope `admin`)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from lrs.api import (
    access,
    imports,
    request_parsing,
    table_parameters,
)
from lrs.api.audited import audited
from lrs.api.imports import Import
from lrs.auth import scopes
from lrs.errors import TooLarge
from lrs.imports import encodings
from lrs.imports.rows import Row
from lrs.imports.tables import TableOptions
from lrs.people import importer, rows
from lrs.people.plan import RowOutcome
from lrs.xapi import query_params, strict_json

_MEDIA_TYPES = ("text/csv", request_parsing.JSON)

_MAX_ROW_BYTES = 65_536
_SPLIT = "Split it, with rows that others refer to first, or use the command `lrs people import`."


@audited("people.import")
async def post_import(request: Request) -> Response:
    caller = await access.authorize_partner(request, scopes.ADMIN)
    query = table_parameters.parse(request, {"merge": query_params.boolean}, section="People")
    sent = await imports.read_rows(
        request, caller.partner_id, _MEDIA_TYPES, partial(_parse, query.table)
    )
    is_preview, merge = query.is_preview, bool(query.values.get("merge", False))
    run = importer.preview_import if is_preview else importer.import_rows
    partner_lock = request_parsing.services(request).partner_lock
    plan = await run(partner_lock, caller.partner_id, caller.home_page, sent.rows, merge=merge)
    return imports.response(plan.outcomes, sent.notes, _serialize, is_preview=is_preview)


def _parse(options: TableOptions, media_type: str, body: bytes) -> Import:
    imports.check_values(body, _SPLIT)
    if media_type == request_parsing.JSON:
        return Import(imports.limit_rows(_read_json(body), _SPLIT), [])
    decoded = encodings.decode(body, options.encoding)
    table = rows.ROWS.read_csv(decoded.text, options)
    return Import(imports.limit_rows(table.rows, _SPLIT), [*decoded.notes, *table.notes])


def _read_json(body: bytes) -> Iterator[Row]:
    """The rows of a JSON array, which is parsed one row at a time."""
    items, is_array = strict_json.split_batch(body, imports.MAX_ROWS)
    for index, item in enumerate(items):
        if len(item) > _MAX_ROW_BYTES:
            kind = f"Row {index}" if is_array else "The body is not an array; it"
            raise TooLarge(f"{kind} has more than {_MAX_ROW_BYTES} bytes.")
    if not is_array:
        return rows.read_json(strict_json.loads(body))
    return rows.ROWS.json_rows(map(strict_json.loads, items))


def _serialize(outcome: RowOutcome) -> dict[str, Any]:
    return {**imports.serialize(outcome), "moved_events": outcome.moved_events}
