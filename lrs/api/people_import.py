"""Importing people, or seeing beforehand what an import would come to."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from lrs.api import problem_details, request_parsing
from lrs.api.responses import json_response
from lrs.auth import scopes
from lrs.errors import InvalidImport, TooLarge, UnsupportedMediaType
from lrs.people import importer, rows
from lrs.people.plan import ImportPlan, RowOutcome
from lrs.people.rows import Row
from lrs.xapi import query_params, strict_json

# A row of a few bytes becomes a kilobyte and more, in a process that serves everybody.
_MOST_ROWS = 100_000


async def post_import(request: Request) -> Response:
    who = await request_parsing.partner(request)
    scopes.require(who.scopes, scopes.ADMIN)
    preview, here = _preview(request), request_parsing.services(request)
    read = await _rows(request)
    if preview:
        made = await importer.preview_import(
            here.database.readers, who.partner_id, who.home_page, read
        )
    else:
        made = await importer.import_rows(here.partner_lock, who.partner_id, who.home_page, read)
    return _answer(made, preview=preview)


def _preview(request: Request) -> bool:
    readers = {"preview": query_params.boolean}
    given = query_params.parse(request_parsing.parameters(request), readers, section="People")
    return bool(given.get("preview", False))


async def _rows(request: Request) -> list[Row]:
    """The rows in the body, read beside the event loop: there may be many."""
    kind = request_parsing.media_type(request)
    if kind not in ("text/csv", request_parsing.JSON):
        raise UnsupportedMediaType(
            f"The Content-Type must be text/csv or application/json, not {kind!r}."
        )
    body = await request_parsing.body(
        request, request_parsing.services(request).settings.max_body_bytes
    )
    return await asyncio.to_thread(_read, kind, body)


def _read(kind: str, body: bytes) -> list[Row]:
    if kind == request_parsing.JSON:
        return _not_too_many(rows.read_json(strict_json.loads(body)))
    try:
        return _not_too_many(rows.read_csv(body.decode()))
    except UnicodeDecodeError as error:
        raise InvalidImport(f"The table is not UTF-8: {error.reason} in {error.start}.") from None


def _not_too_many(read: Iterable[Row]) -> list[Row]:
    found = list(islice(read, _MOST_ROWS + 1))
    if len(found) > _MOST_ROWS:
        raise TooLarge(
            f"There are more than {_MOST_ROWS} rows: send fewer at a time, first those that others "
            "name, or use the command `lrs people import`."
        )
    return found


def _answer(made: ImportPlan, *, preview: bool) -> Response:
    if made.refused and not preview:
        error = InvalidImport(refusal(made.refused))
        return problem_details.response(error, results=[_result(each) for each in made.refused])
    counts = Counter(each.kind for each in made.outcomes)
    return json_response(
        {
            "preview": preview,
            "results": [_result(each) for each in made.outcomes],
            "summary": {"received": len(made.outcomes), **counts},
        }
    )


def refusal(refused: Sequence[RowOutcome]) -> str:
    """The first refused row in words."""
    row, first = refused[0].row, refused[0].violations[0]
    more = f" (and {len(refused) - 1} more rows)" if len(refused) > 1 else ""
    return f"{row.location}, {first.pointer[1:] or row.kind or 'row'}: {first.detail}{more}"


def _result(outcome: RowOutcome) -> dict[str, Any]:
    return {
        "index": outcome.row.index,
        "line": outcome.row.line,
        "type": outcome.row.kind or None,
        "outcome": outcome.kind,
        "changes": list(outcome.changes),
        "errors": [
            {"pointer": each.pointer, "detail": each.detail, "requirement": each.requirement}
            for each in outcome.violations
        ],
    }
