"""Dead letters of pipes, for operators."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from lrs.admin import pipe_letters
from lrs.admin.views import Page, decode_cursor, page
from lrs.api import request_parsing
from lrs.api.admin.access import authenticate_operator
from lrs.api.admin.bodies import read_body
from lrs.api.admin.responses import changed, json, list_query, list_response, no_query
from lrs.api.request_parsing import services
from lrs.errors import InvalidParameter, NotFound, Violation
from lrs.store.postgres import Database
from lrs.xapi import query_params

_MAX_IDS = 1000


class _Chosen(msgspec.Struct, forbid_unknown_fields=True):
    """The dead letters with these ids, or all."""

    ids: Annotated[list[UUID], msgspec.Meta(min_length=1, max_length=_MAX_IDS)] | None = None
    all: bool = False

    @property
    def selection(self) -> list[UUID] | None:
        """The ids; None for all. Raises InvalidParameter."""
        if self.all == (self.ids is not None):
            detail = "expected either ids, or all: true"
            raise InvalidParameter(
                f"The body is invalid: {detail}.", violations=[Violation("", detail, "Admin API")]
            )
        return self.ids


async def get_letters(request: Request) -> Response:
    operator = await authenticate_operator(request)
    query = list_query(request)
    (after,) = decode_cursor(query.cursor, tuple[UUID]) if query.cursor else (None,)
    rows = await pipe_letters.list_letters(
        services(request).admin_database,
        operator,
        *_path(request),
        after=after,
        limit=query.limit + 1,
    )
    letters = page(rows, query.limit, lambda letter: (letter.statement_id,))
    items = [pipe_letters.letter_view(letter) for letter in letters.items]
    return list_response(request, "letters", Page(items, letters.cursor))


async def get_letter(request: Request) -> Response:
    operator = await authenticate_operator(request)
    no_query(request)
    used = services(request)
    letter = await pipe_letters.get_letter(
        used.admin_database,
        operator,
        used.masking,
        used.statement_loader,
        *_path(request),
        letter_id(request),
    )
    return json(letter)


async def retry_letters(request: Request) -> Response:
    return await _change_letters(request, pipe_letters.retry_letters)


async def drop_letters(request: Request) -> Response:
    return await _change_letters(request, pipe_letters.drop_letters)


async def retry_letter(request: Request) -> Response:
    """Sends a dead letter again: as it was without a body, else with the corrected statement."""
    operator = await authenticate_operator(request)
    no_query(request)
    settings = services(request).settings
    body = await request_parsing.read_body(request, settings.max_body_bytes)
    partner, name = _path(request)
    statement_id = letter_id(request)
    if body:
        request_parsing.require_json(request)

    async def retry(database: Database) -> Any:
        if body:
            await pipe_letters.correct_letter(
                database, operator, partner, name, statement_id, body,
                settings.max_xapi_statement_bytes,
            )  # fmt: skip
        elif not await pipe_letters.retry_letters(
            database, operator, partner, name, [statement_id]
        ):
            raise _not_found(str(statement_id))
        return {"statement_id": str(statement_id), "is_queued": True}

    return await changed(request, operator, body.decode("utf-8", "replace"), retry)


async def delete_letter(request: Request) -> Response:
    operator = await authenticate_operator(request)
    no_query(request)
    statement_id = letter_id(request)
    if not await pipe_letters.drop_letters(
        services(request).admin_database, operator, *_path(request), [statement_id]
    ):
        raise _not_found(str(statement_id))
    return Response(status_code=204)


async def _change_letters(request: Request, use_case: Any) -> Response:
    operator = await authenticate_operator(request)
    body = await read_body(request, _Chosen)
    ids = body.selection

    async def change(database: Database) -> dict[str, int]:
        return {"letters": await use_case(database, operator, *_path(request), ids)}

    return await changed(request, operator, body, change)


def letter_id(request: Request) -> UUID:
    """The id of the statement in the path. Raises NotFound."""
    text: str = request.path_params["letter"]
    try:
        return UUID(query_params.uuid(text))
    except ValueError:
        raise _not_found(text) from None


def _not_found(text: str) -> NotFound:
    return NotFound(f"Dead letter {text[:80]!r} not found.")


def _path(request: Request) -> tuple[str, str]:
    return request.path_params["partner"], request.path_params["pipe"]
