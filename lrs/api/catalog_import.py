"""Import of a catalog, and its preview (scope `admin`)."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from lrs.api import (
    access,
    content_coding,
    problem_details,
    request_parsing,
    table_parameters,
    time_limit,
)
from lrs.api.audited import audited
from lrs.api.responses import json_response
from lrs.auth import scopes
from lrs.catalog import importer, rows
from lrs.catalog.plan import CatalogPlan, RowOutcome
from lrs.errors import InvalidImport, TooLarge, UnsupportedMediaType
from lrs.imports.rows import Row
from lrs.imports.tables import TableOptions
from lrs.xapi import strict_json

_MEDIA_TYPES = ("text/csv", "application/json", "application/x-ndjson")

# A row of a few bytes takes a kilobyte or more in the memory of the worker.
_MAX_ROWS = 100_000
_SPLIT = "Split it, with rows that others refer to first, or use the command `lrs content import`."


class _Import(NamedTuple):
    """The rows of a request, and notes on how its table was read."""

    rows: list[Row]
    notes: list[str]


@audited("content.import")
async def post_import(request: Request) -> Response:
    caller = await access.authorize_partner(request, scopes.ADMIN)
    query = table_parameters.parse(request, {}, section="Catalog")
    sent = await _read_rows(request, caller.partner_id, query.table)
    services = request_parsing.services(request)
    arguments = (services.partner_lock, caller.partner_id, caller.home_page, sent.rows)
    if query.is_preview:
        plan = await importer.preview_import(*arguments)
    else:
        plan = await importer.import_rows(*arguments, services.vocabulary)
    return _response(plan, sent.notes, is_preview=query.is_preview)


async def _read_rows(request: Request, partner_id: int, options: TableOptions) -> _Import:
    """The rows in the body, parsed in a thread because there may be many."""
    media_type = request_parsing.media_type(request)
    if media_type not in _MEDIA_TYPES:
        raise UnsupportedMediaType(
            f"The Content-Type must be one of {', '.join(_MEDIA_TYPES)}, not {media_type!r}."
        )
    services = request_parsing.services(request)
    body = await content_coding.read_body(request, partner_id, services.settings.max_body_bytes)
    time_limit.suspend(request.scope)
    return await services.partner_lock.thread.run(partner_id, _parse, body, options)


def _parse(body: bytes, options: TableOptions) -> _Import:
    if max(map(body.count, (b",", b";", b"\t", b"|"))) > strict_json.MAX_VALUES:
        raise TooLarge(f"The import has more than {strict_json.MAX_VALUES} values. {_SPLIT}")
    table = rows.read(body, options)
    limited = list(islice(table.rows, _MAX_ROWS + 1))
    if len(limited) > _MAX_ROWS:
        raise TooLarge(f"The import has more than {_MAX_ROWS} rows. {_SPLIT}")
    return _Import(limited, table.notes)


def _response(plan: CatalogPlan, notes: list[str], *, is_preview: bool) -> Response:
    if plan.refused and not is_preview:
        refused = plan.refused
        row, violation = refused[0].row, refused[0].violations[0]
        more = f" (and {len(refused) - 1} more rows)" if len(refused) > 1 else ""
        field = violation.pointer[1:] or row.kind or "row"
        error = InvalidImport(f"{row.location}, {field}: {violation.detail}{more}")
        return problem_details.response(error, results=[*map(_result, refused)], notes=notes)
    counts = Counter(outcome.kind for outcome in plan.outcomes)
    return json_response(
        {
            "preview": is_preview,
            "notes": notes,
            "results": [_result(outcome) for outcome in plan.outcomes],
            "summary": {"received": len(plan.outcomes), **counts},
        }
    )


def _result(outcome: RowOutcome) -> dict[str, Any]:
    return {
        "index": outcome.row.index,
        "line": outcome.row.line,
        "type": outcome.row.kind or None,
        "outcome": outcome.kind,
        "changes": list(outcome.changes),
        "errors": problem_details.violations(outcome.violations),
    }
