"""What imports of people and of catalogs share: the body, limits of its rows, the response."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any, NamedTuple, Protocol, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from lrs.api import content_coding, problem_details, request_parsing, time_limit
from lrs.api.responses import json_response
from lrs.errors import InvalidImport, TooLarge, UnsupportedMediaType, Violation
from lrs.imports.rows import Row
from lrs.plurals import quantity
from lrs.xapi import strict_json

# A row of a few bytes takes a kilobyte or more in the memory of the worker.
MAX_ROWS = 100_000


class RowOutcome(Protocol):
    """The outcome of a row; `changes` are the columns that change."""

    @property
    def row(self) -> Row: ...
    @property
    def kind(self) -> str: ...
    @property
    def changes(self) -> tuple[str, ...]: ...
    @property
    def violations(self) -> tuple[Violation, ...]: ...


_Outcome = TypeVar("_Outcome", bound=RowOutcome)


class Import(NamedTuple):
    """The rows of a request, and notes on how its table was read."""

    rows: list[Row]
    notes: list[str]


async def read_rows(
    request: Request,
    partner_id: int,
    media_types: Sequence[str],
    parse: Callable[[str, bytes], Import],
) -> Import:
    """The rows in the body, parsed in a thread because there may be many.

    `parse` gets the media type and the body. Raises UnsupportedMediaType and TooLarge.
    """
    media_type = request_parsing.media_type(request)
    if media_type not in media_types:
        raise UnsupportedMediaType(
            f"The Content-Type must be one of {', '.join(media_types)}, not {media_type!r}."
        )
    services = request_parsing.services(request)
    body = await content_coding.read_body(request, partner_id, services.settings.max_body_bytes)
    time_limit.suspend(request.scope)
    return await services.partner_lock.thread.run(partner_id, parse, media_type, body)


def check_values(body: bytes, advice: str) -> None:
    """Raises TooLarge, before the body is parsed, if it can have too many values."""
    if max(map(body.count, (b",", b";", b"\t", b"|"))) > strict_json.MAX_VALUES:
        raise TooLarge(f"The import has more than {strict_json.MAX_VALUES} values. {advice}")


def limit_rows(rows: Iterable[Row], advice: str) -> list[Row]:
    """Raises TooLarge beyond `MAX_ROWS`; `advice` ends the detail."""
    limited = list(islice(rows, MAX_ROWS + 1))
    if len(limited) > MAX_ROWS:
        raise TooLarge(f"The import has more than {MAX_ROWS} rows. {advice}")
    return limited


def response(
    outcomes: Sequence[_Outcome],
    notes: list[str],
    serialize: Callable[[_Outcome], dict[str, Any]],
    *,
    is_preview: bool,
) -> Response:
    """All outcomes; or a problem with the refused rows, which prevent an import."""
    refused = [outcome for outcome in outcomes if outcome.kind == "refused"]
    if refused and not is_preview:
        error = InvalidImport(_detail(refused))
        return problem_details.response(error, results=[*map(serialize, refused)], notes=notes)
    counts = Counter(outcome.kind for outcome in outcomes)
    return json_response(
        {
            "preview": is_preview,
            "notes": notes,
            "results": [*map(serialize, outcomes)],
            "summary": {"received": len(outcomes), **counts},
        }
    )


def serialize(outcome: RowOutcome) -> dict[str, Any]:
    """An outcome as a member of `results`."""
    return {
        "index": outcome.row.index,
        "line": outcome.row.line,
        "type": outcome.row.kind or None,
        "outcome": outcome.kind,
        "changes": list(outcome.changes),
        "errors": problem_details.violations(outcome.violations),
    }


def _detail(refused: Sequence[RowOutcome]) -> str:
    """A sentence about the first refused row, and the number of the others."""
    row, violation = refused[0].row, refused[0].violations[0]
    more = f" (and {quantity(len(refused) - 1, 'more row')})" if len(refused) > 1 else ""
    field = violation.pointer[1:] or row.kind or "row"
    return f"{row.location}, {field}: {violation.detail}{more}"
