"""Responses of the interface of operators: lists, objects with entity tags, repeated requests."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from lrs.admin import idempotency
from lrs.admin.idempotency import HEADER, KeptResponse
from lrs.admin.views import Page, version
from lrs.api import request_parsing, urls
from lrs.auth.operators import Operator
from lrs.store.postgres import Database
from lrs.xapi import query_params

SECTION = "Admin API"
MAX_PAGE_SIZE = 500
_PAGE_SIZE = 100
_NO_STORE = {"Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True)
class ListQuery:
    """The parameters of a list: the size and begin of the page, and the filters by name."""

    limit: int
    cursor: str | None
    filters: dict[str, Any]


def list_query(
    request: Request, filters: Mapping[str, query_params.Parser] | None = None
) -> ListQuery:
    """The parameters `limit`, `cursor` and the filters. Raises InvalidParameter."""
    parsers = {**(filters or {}), "limit": query_params.limit, "cursor": query_params.text}
    values = query_params.parse(request_parsing.query_parameters(request), parsers, section=SECTION)
    limit = min(values.pop("limit", 0) or _PAGE_SIZE, MAX_PAGE_SIZE)
    return ListQuery(limit, values.pop("cursor", None), values)


def no_query(request: Request) -> None:
    """Raises InvalidParameter for any query parameter."""
    query_params.reject_all(request_parsing.query_parameters(request), section=SECTION)


def list_response(request: Request, name: str, page: Page[Any]) -> Response:
    """The items under a name, and in `more` the relative URL of the next page."""
    return json({name: page.items, "more": next_page(request, page)})


def next_page(request: Request, page: Page[Any]) -> str:
    """The relative URL of the next page; empty on the last one."""
    return urls.next_page(request, page.cursor) if page.cursor else ""


def json(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Views as JSON, which caches do not store."""
    return Response(
        msgspec.json.encode(content),
        status,
        headers={**_NO_STORE, **(headers or {})},
        media_type="application/json",
    )


def object_response(view: object, status: int = 200) -> Response:
    """A view with its entity tag, for If-Match."""
    return json(view, status, {"ETag": version(view)})


def expected_versions(request: Request) -> list[str] | None:
    """The entity tags in If-Match; None without the header."""
    sent = request.headers.getlist("if-match")
    if not sent:
        return None
    return [tag.strip() for tag in ",".join(sent).split(",")]


async def changed(
    request: Request,
    operator: Operator,
    body: object,
    change: Callable[[Database], Awaitable[Any]],
    status: int = 200,
) -> Response:
    """The response to a POST, whose change is not repeated with the same Idempotency-Key."""
    services = request_parsing.services(request)
    key = request_parsing.header(request.scope, HEADER.lower().encode())
    if key is None:
        return json(await change(services.admin_database), status)

    async def run(database: Database) -> KeptResponse:
        return KeptResponse(status, msgspec.json.encode(await change(database)))

    path = request_parsing.raw_path(request.scope).encode()
    request_hash = hashlib.sha256(path + b"\n" + msgspec.json.encode(body)).digest()
    kept = await idempotency.once(
        services.admin_database, operator, services.secret_box, key, request_hash, run
    )
    headers = {**_NO_STORE, "Idempotency-Replayed": "true"} if kept.is_replay else _NO_STORE
    return Response(kept.body, kept.status, headers=headers, media_type="application/json")
