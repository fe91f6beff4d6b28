"""Operators, for owners."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from lrs.admin import operators, sessions
from lrs.admin.sessions import IssuedLink
from lrs.admin.views import Page
from lrs.api import urls
from lrs.api.admin.access import authenticate_operator
from lrs.api.admin.bodies import changes, read_body
from lrs.api.admin.partners import Empty
from lrs.api.admin.responses import (
    changed,
    expected_versions,
    list_query,
    list_response,
    no_query,
    object_response,
)
from lrs.api.request_parsing import services
from lrs.store.postgres import Database


class _NewOperator(msgspec.Struct, forbid_unknown_fields=True):
    email: str
    role: str
    partners: list[str] | None = None


class _OperatorChange(msgspec.Struct, forbid_unknown_fields=True):
    role: str | UnsetType = UNSET
    partners: list[str] | UnsetType | None = UNSET


class _NewToken(msgspec.Struct, forbid_unknown_fields=True):
    expires_in_days: int = 90
    label: str = ""


async def get_operators(request: Request) -> Response:
    operator = await authenticate_operator(request)
    query = list_query(request)
    page: Page[Any] = await operators.list_page(
        services(request).admin_database, operator, cursor=query.cursor, limit=query.limit
    )
    return list_response(request, "operators", page)


async def post_operators(request: Request) -> Response:
    operator = await authenticate_operator(request)
    body = await read_body(request, _NewOperator)

    async def add(database: Database) -> dict[str, Any]:
        link = await operators.add_operator(
            database, operator, body.email, body.role, body.partners
        )
        return _link(request, link)

    return await changed(request, operator, body, add, status=201)


async def get_operator(request: Request) -> Response:
    operator = await authenticate_operator(request)
    no_query(request)
    return object_response(
        await operators.get_operator(services(request).admin_database, operator, _email(request))
    )


async def patch_operator(request: Request) -> Response:
    operator = await authenticate_operator(request)
    body = await read_body(request, _OperatorChange)
    view = await operators.set_operator(
        services(request).admin_database,
        operator,
        _email(request),
        changes(body),
        expected_versions(request),
    )
    return object_response(view)


async def post_link(request: Request) -> Response:
    operator = await authenticate_operator(request)
    body = await read_body(request, Empty, optional=True)

    async def issue(database: Database) -> dict[str, Any]:
        return _link(request, await sessions.issue_link(database, operator, _email(request)))

    return await changed(request, operator, body, issue, status=201)


async def post_token(request: Request) -> Response:
    operator = await authenticate_operator(request)
    body = await read_body(request, _NewToken, optional=True)
    return await changed(
        request,
        operator,
        body,
        lambda database: sessions.issue_token(
            database, operator, _email(request), days=body.expires_in_days, label=body.label
        ),
        status=201,
    )


async def get_sessions(request: Request) -> Response:
    """Links, sessions and tokens: for owners, and each operator's own."""
    operator = await authenticate_operator(request)
    no_query(request)
    rows = await sessions.list_sessions(services(request).admin_database, operator, _email(request))
    return list_response(request, "sessions", Page(rows, None))


async def revoke_session(request: Request) -> Response:
    operator = await authenticate_operator(request)
    body = await read_body(request, Empty, optional=True)
    session_id: str = request.path_params["session"]
    return await changed(
        request,
        operator,
        body,
        lambda database: sessions.end_session(database, operator, _email(request), session_id),
    )


async def revoke_sessions(request: Request) -> Response:
    """Ends all links, sessions and tokens of an operator."""
    operator = await authenticate_operator(request)
    body = await read_body(request, Empty, optional=True)

    async def end(database: Database) -> object:
        await sessions.end_sessions(database, operator, _email(request))
        return await operators.get_operator(database, operator, _email(request))

    return await changed(request, operator, body, end)


async def disable_operator(request: Request) -> Response:
    return await _set_disabled(request, disabled=True)


async def enable_operator(request: Request) -> Response:
    return await _set_disabled(request, disabled=False)


async def _set_disabled(request: Request, *, disabled: bool) -> Response:
    operator = await authenticate_operator(request)
    body = await read_body(request, Empty, optional=True)
    email = _email(request)

    async def change(database: Database) -> object:
        await operators.set_disabled(database, operator, email, disabled=disabled)
        return await operators.get_operator(database, operator, email)

    return await changed(request, operator, body, change)


def _email(request: Request) -> str:
    email: str = request.path_params["email"]
    return email


def _link(request: Request, link: IssuedLink) -> dict[str, Any]:
    url = link.url(urls.base_url(request))
    return {"email": link.email, "link": url, "expires_at": link.expires_at}
