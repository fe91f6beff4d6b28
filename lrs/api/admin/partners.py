"""Partners, for operators."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from lrs.admin import partners
from lrs.admin.partners import PartnerView
from lrs.admin.views import version
from lrs.api import urls
from lrs.api.admin.access import authenticate_operator
from lrs.api.admin.bodies import changes, read_body
from lrs.api.admin.responses import (
    changed,
    expected_versions,
    json,
    list_query,
    list_response,
    no_query,
)
from lrs.api.request_parsing import services
from lrs.auth.credentials import default_home_page
from lrs.limits.model import DefaultLimits
from lrs.xapi import query_params


class _NewPartner(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    title: str = ""
    home_page: str | None = None


class _PartnerChange(msgspec.Struct, forbid_unknown_fields=True):
    title: str | UnsetType = UNSET
    home_page: str | UnsetType = UNSET
    limits: dict[str, Any] | UnsetType = UNSET
    settings: dict[str, Any] | UnsetType = UNSET


class _Disabling(msgspec.Struct, forbid_unknown_fields=True):
    reason: str


class Empty(msgspec.Struct, forbid_unknown_fields=True):
    """A body without members."""


async def get_partners(request: Request) -> Response:
    operator = await authenticate_operator(request)
    query = list_query(request, {"search": query_params.text})
    page = await partners.list_partners(
        services(request).admin_database,
        operator,
        search=query.filters.get("search", ""),
        cursor=query.cursor,
        limit=query.limit,
    )
    return list_response(request, "partners", page)


async def post_partners(request: Request) -> Response:
    operator = await authenticate_operator(request)
    body = await read_body(request, _NewPartner)
    base_url = urls.base_url(request)
    home_page = body.home_page or default_home_page(base_url, body.name)
    return await changed(
        request,
        operator,
        body,
        lambda database: partners.add_partner(database, operator, body.name, body.title, home_page),
        status=201,
    )


async def get_partner(request: Request) -> Response:
    operator = await authenticate_operator(request)
    no_query(request)
    name = request.path_params["partner"]
    view = await partners.get_partner(services(request).admin_database, operator, name)
    return await _with_reports(request, view)


async def patch_partner(request: Request) -> Response:
    operator = await authenticate_operator(request)
    body = await read_body(request, _PartnerChange)
    view = await partners.set_partner(
        services(request).admin_database,
        operator,
        request.path_params["partner"],
        changes(body),
        expected_versions(request),
    )
    return await _with_reports(request, view)


async def _with_reports(request: Request, view: PartnerView) -> Response:
    """The partner, and whether its reports must be rebuilt, which is no part of its version."""
    rebuild_needed = await partners.needs_rebuild(services(request).admin_database, view.name)
    content = {**msgspec.to_builtins(view), "rebuild_needed": rebuild_needed}
    return json(content, headers={"ETag": version(view)})


async def disable_partner(request: Request) -> Response:
    operator = await authenticate_operator(request)
    body = await read_body(request, _Disabling)
    name = request.path_params["partner"]
    return await changed(
        request,
        operator,
        body,
        lambda database: partners.disable_partner(database, operator, name, body.reason),
    )


async def enable_partner(request: Request) -> Response:
    operator = await authenticate_operator(request)
    body = await read_body(request, Empty, optional=True)
    name = request.path_params["partner"]
    return await changed(
        request,
        operator,
        body,
        lambda database: partners.enable_partner(database, operator, name),
    )


async def get_limits(request: Request) -> Response:
    """The limits that apply, those of the settings included, and what is used of the quotas."""
    operator = await authenticate_operator(request)
    no_query(request)
    name = request.path_params["partner"]
    used = await partners.get_usage(services(request).admin_database, operator, name)
    effective = DefaultLimits.of(services(request).settings).partner.overridden(used.limits)
    content = {
        "overrides": used.limits,
        "effective": {
            "rate_limit": str(effective.rate or ""),
            "max_concurrent_requests": effective.max_concurrent_requests,
            "max_statements_per_day": effective.max_statements_per_day,
            "max_stored_bytes": effective.max_stored_bytes,
        },
        "usage": used.usage,
    }
    return json(content)
