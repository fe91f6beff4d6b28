"""Import of people, and its preview (scope `admin`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
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
from lrs.errors import InvalidImport, TooLarge, UnsupportedMediaType
from lrs.imports import encodings
from lrs.imports.rows import Row
from lrs.imports.tables import TableOptions
from lrs.people import importer, rows
from lrs.people.plan import ImportPlan, RowOutcome
from lrs.xapi import query_params, strict_json

# A row of a few bytes takes a kilobyte or more in the memory of the worker.
_MAX_ROWS = 100_000
_MAX_ROW_BYTES = 65_536
_SPLIT = "Split it, with rows that others refer to first, or use the command `lrs people import`."


class _Import(NamedTuple):
    """The rows of a request, and notes on how its table was read."""

    rows: list[Row]
    notes: list[str]


@audited("people.import")
async def post_import(request: Request) -> Response:
    caller = await access.authorize_partner(request, scopes.ADMIN)
    query = table_parameters.parse(request, {"merge": query_params.boolean}, section="People")
    sent = await _read_rows(request, caller.partner_id, query.table)
    is_preview, merge = query.is_preview, bool(query.values.get("merge", False))
    run = importer.preview_import if is_preview else importer.import_rows
    partner_lock = request_parsing.services(request).partner_lock
    plan = await run(partner_lock, caller.partner_id, caller.home_page, sent.rows, merge=merge)
    return _response(plan, sent.notes, is_preview=is_preview)


async def _read_rows(request: Request, partner_id: int, options: TableOptions) -> _Import:
    """The rows in the body, parsed in a thread because there may be many."""
    media_type = request_parsing.media_type(request)
    if media_type not in ("text/csv", request_parsing.JSON):
        raise UnsupportedMediaType(
            f"The Content-Type must be text/csv or application/json, not {media_type!r}."
        )
    services = request_parsing.services(request)
    body = await content_coding.read_body(request, partner_id, services.settings.max_body_bytes)
    time_limit.suspend(request.scope)
    return await services.partner_lock.thread.run(partner_id, _parse, media_type, body, options)


def _parse(media_type: str, body: bytes, options: TableOptions) -> _Import:
    if max(map(body.count, (b",", b";", b"\t", b"|"))) > strict_json.MAX_VALUES:
        raise TooLarge(f"The import has more than {strict_json.MAX_VALUES} values. {_SPLIT}")
    if media_type == request_parsing.JSON:
        return _Import(_limited(_read_json(body)), [])
    decoded = encodings.decode(body, options.encoding)
    table = rows.ROWS.read_csv(decoded.text, options)
    return _Import(_limited(table.rows), [*decoded.notes, *table.notes])


def _read_json(body: bytes) -> Iterator[Row]:
    """The rows of a JSON array, which is parsed one row at a time."""
    items, is_array = strict_json.split_batch(body, _MAX_ROWS)
    for index, item in enumerate(items):
        if len(item) > _MAX_ROW_BYTES:
            kind = f"Row {index}" if is_array else "The body is not an array; it"
            raise TooLarge(f"{kind} has more than {_MAX_ROW_BYTES} bytes.")
    if not is_array:
        return rows.read_json(strict_json.loads(body))
    return rows.ROWS.json_rows(map(strict_json.loads, items))


def _limited(parsed: Iterable[Row]) -> list[Row]:
    limited = list(islice(parsed, _MAX_ROWS + 1))
    if len(limited) > _MAX_ROWS:
        raise TooLarge(f"The import has more than {_MAX_ROWS} rows. {_SPLIT}")
    return limited


def _response(plan: ImportPlan, notes: list[str], *, is_preview: bool) -> Response:
    if plan.refused and not is_preview:
        error = InvalidImport(refusal(plan.refused))
        return problem_details.response(
            error, results=[_result(outcome) for outcome in plan.refused], notes=notes
        )
    counts = Counter(outcome.kind for outcome in plan.outcomes)
    return json_response(
        {
            "preview": is_preview,
            "notes": notes,
            "results": [_result(outcome) for outcome in plan.outcomes],
            "summary": {"received": len(plan.outcomes), **counts},
        }
    )


def refusal(refused: Sequence[RowOutcome]) -> str:
    """A sentence about the first refused row, and the number of the others."""
    row, violation = refused[0].row, refused[0].violations[0]
    more = f" (and {len(refused) - 1} more rows)" if len(refused) > 1 else ""
    field = violation.pointer[1:] or row.kind or "row"
    return f"{row.location}, {field}: {violation.detail}{more}"


def _result(outcome: RowOutcome) -> dict[str, Any]:
    return {
        "index": outcome.row.index,
        "line": outcome.row.line,
        "type": outcome.row.kind or None,
        "outcome": outcome.kind,
        "changes": list(outcome.changes),
        "moved_events": outcome.moved_events,
        "errors": problem_details.violations(outcome.violations),
    }
