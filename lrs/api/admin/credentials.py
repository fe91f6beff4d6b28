"""Credentials of partners, for operators."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from lrs.admin import credentials
from lrs.admin.views import Page
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
from lrs.auth.scopes import ALL
from lrs.xapi import query_params


class _NewCredential(msgspec.Struct, forbid_unknown_fields=True):
    kind: str = "client"
    label: str = ""
    scopes: list[str] = msgspec.field(default_factory=lambda: [ALL])
    expires_at: datetime | None = None
    key: str | None = None


class _CredentialChange(msgspec.Struct, forbid_unknown_fields=True):
    label: str | UnsetType = UNSET
    scopes: list[str] | UnsetType = UNSET
    expires_at: datetime | UnsetType | None = UNSET
    limits: dict[str, Any] | UnsetType = UNSET


class Rotation(msgspec.Struct, forbid_unknown_fields=True):
    """Hours for which the old secret stays valid."""

    overlap_hours: float = 24.0


async def get_all_credentials(request: Request) -> Response:
    """Of all partners that the operator sees, or of one."""
    query = list_query(request, {"partner": query_params.text})
    return await _list(request, query.filters.get("partner"), query.cursor, query.limit)


async def get_credentials(request: Request) -> Response:
    query = list_query(request)
    return await _list(request, request.path_params["partner"], query.cursor, query.limit)


async def _list(request: Request, partner: str | None, cursor: str | None, limit: int) -> Response:
    operator = await authenticate_operator(request)
    page = await credentials.list_credentials(
        services(request).admin_database, operator, partner, cursor=cursor, limit=limit
    )
    return list_response(request, "credentials", page)


async def post_credentials(request: Request) -> Response:
    operator = await authenticate_operator(request)
    body = await read_body(request, _NewCredential)
    partner = request.path_params["partner"]
    return await changed(
        request,
        operator,
        body,
        lambda database: credentials.add_credential(
            database,
            operator,
            partner,
            kind=body.kind,
            label=body.label,
            granted=body.scopes,
            expires_at=body.expires_at,
            key=body.key,
        ),
        status=201,
    )


async def get_credential(request: Request) -> Response:
    operator = await authenticate_operator(request)
    no_query(request)
    partner, key = _path(request)
    return object_response(
        await credentials.get_credential(services(request).admin_database, operator, partner, key)
    )


async def get_addresses(request: Request) -> Response:
    operator = await authenticate_operator(request)
    no_query(request)
    partner, key = _path(request)
    rows = await credentials.list_addresses(
        services(request).admin_database, operator, partner, key
    )
    return list_response(request, "addresses", Page(rows, None))


async def patch_credential(request: Request) -> Response:
    operator = await authenticate_operator(request)
    body = await read_body(request, _CredentialChange)
    partner, key = _path(request)
    view = await credentials.set_credential(
        services(request).admin_database,
        operator,
        partner,
        key,
        changes(body),
        expected_versions(request),
    )
    return object_response(view)


async def rotate_credential(request: Request) -> Response:
    operator = await authenticate_operator(request)
    body = await read_body(request, Rotation, optional=True)
    partner, key = _path(request)
    return await changed(
        request,
        operator,
        body,
        lambda database: credentials.rotate_credential(
            database, operator, partner, key, body.overlap_hours
        ),
    )


async def revoke_credential(request: Request) -> Response:
    operator = await authenticate_operator(request)
    body = await read_body(request, Empty, optional=True)
    partner, key = _path(request)
    return await changed(
        request,
        operator,
        body,
        lambda database: credentials.revoke_credential(database, operator, partner, key),
    )


def _path(request: Request) -> tuple[str, str]:
    return request.path_params["partner"], request.path_params["key"]
