"""Pages of partners and credentials, and the forms that change them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from lrs.admin import credentials, partners
from lrs.api import urls
from lrs.api.admin import audit as admin_audit
from lrs.api.admin import credentials as admin_credentials
from lrs.api.admin import partners as admin_partners
from lrs.api.admin import system as admin_system
from lrs.auth import scopes
from lrs.auth.credentials import default_home_page
from lrs.console.overview import overview_of
from lrs.console.pages import (
    Form,
    database_of,
    for_operators,
    operator_of,
    page,
    path_of,
    read_form,
    read_twin,
    redirect,
    require_typed_name,
    twin_page,
    twin_path,
)
from lrs.errors import InvalidParameter
from lrs.store.partner_settings import DEFAULT, PartnerSettings

_LIMITS = ("rate_limit", "max_concurrent_requests", "max_statements_per_day", "max_stored_bytes")

get_partners = twin_page(admin_partners.get_partners, "partners.html")
get_all_credentials = twin_page(
    admin_credentials.get_all_credentials, "credentials.html", "/credentials"
)
get_audit = twin_page(admin_audit.get_audit, "audit.html")
get_system = twin_page(admin_system.get_system, "system.html")


@for_operators
async def post_partners(request: Request) -> Response:
    form = await read_form(request)
    name = form.get("name", "").strip()
    home_page = form.get("home_page") or default_home_page(urls.base_url(request), name)
    await partners.add_partner(
        database_of(request),
        operator_of(request),
        name,
        form.get("title", ""),
        home_page,
    )
    return redirect(request, path_of("partners", name))


@for_operators
async def get_partner(request: Request) -> Response:
    data = await read_twin(request, admin_partners.get_partner)
    limits = await read_twin(request, admin_partners.get_limits, {})
    arrived = await overview_of(request)
    twin = twin_path(request)
    return page(
        request,
        "partner.html",
        data=data,
        limits=limits,
        arrived=arrived,
        names=_LIMITS,
        twin=twin,
        setting_names=PartnerSettings.__struct_fields__,
    )


@for_operators
async def post_partner(request: Request) -> Response:
    """Changes the title, home page and limits, or one setting; what is empty is the default."""
    form = await read_form(request)
    name = request.path_params["partner"]
    changes: dict[str, Any] = {key: form[key] for key in ("title", "home_page") if key in form}
    limits = {key: _limit(key, form[key]) for key in _LIMITS if key in form}
    if limits:
        changes["limits"] = limits
    if "setting" in form:
        changes["settings"] = {form["setting"]: form.get("value", "").strip() or DEFAULT}
    await partners.set_partner(database_of(request), operator_of(request), name, changes)
    return redirect(request, path_of("partners", name))


@for_operators
async def get_disable(request: Request) -> Response:
    data = await read_twin(request, admin_partners.get_partner)
    arrived = await overview_of(request)
    listed = await read_twin(request, admin_credentials.get_credentials, {})
    active = sum(not item["revoked_at"] for item in listed["credentials"])
    return page(request, "disable.html", data=data, arrived=arrived, active=active)


@for_operators
async def post_disable(request: Request) -> Response:
    form = await read_form(request)
    name = request.path_params["partner"]
    require_typed_name(form, name)
    reason = form.get("reason", "")
    await partners.disable_partner(database_of(request), operator_of(request), name, reason)
    return redirect(request, path_of("partners", name))


@for_operators
async def post_enable(request: Request) -> Response:
    await read_form(request)
    name = request.path_params["partner"]
    await partners.enable_partner(database_of(request), operator_of(request), name)
    return redirect(request, path_of("partners", name))


@for_operators
async def get_credentials(request: Request) -> Response:
    data = await read_twin(request, admin_credentials.get_credentials)
    twin = twin_path(request)
    return page(request, "credentials.html", data=data, scopes=scopes.SUPPORTED, twin=twin)


@for_operators
async def post_credentials(request: Request) -> Response:
    form = await read_form(request)
    issued = await credentials.add_credential(
        database_of(request),
        operator_of(request),
        request.path_params["partner"],
        kind=form.get("kind", "client"),
        label=form.get("label", ""),
        granted=form.get("scopes", "").split(),
        expires_at=_day(form),
    )
    return page(request, "secret.html", issued=issued, is_test=False)


@for_operators
async def get_credential(request: Request) -> Response:
    data = await read_twin(request, admin_credentials.get_credential)
    addresses = None
    if operator_of(request).may("operator"):
        addresses = (await read_twin(request, admin_credentials.get_addresses))["addresses"]
    return page(
        request,
        "credential.html",
        data=data,
        addresses=addresses,
        scopes=scopes.SUPPORTED,
        twin=twin_path(request),
    )


@for_operators
async def post_credential(request: Request) -> Response:
    """Changes the label, the scopes and the end."""
    form = await read_form(request)
    partner, key = _credential(request)
    changes = {
        "label": form.get("label", ""),
        "scopes": form.get("scopes", "").split(),
        "expires_at": _day(form),
    }
    await credentials.set_credential(
        database_of(request), operator_of(request), partner, key, changes
    )
    return redirect(request, path_of("partners", partner, "credentials", key))


@for_operators
async def post_rotate(request: Request) -> Response:
    form = await read_form(request)
    text = form.get("overlap_hours", "24")
    try:
        hours = float(text)
    except ValueError:
        raise InvalidParameter(f"overlap_hours: expected a number, got {text[:80]!r}.") from None
    issued = await credentials.rotate_credential(
        database_of(request), operator_of(request), *_credential(request), hours
    )
    return page(request, "secret.html", issued=issued, is_test=False)


@for_operators
async def get_revoke(request: Request) -> Response:
    data = await read_twin(request, admin_credentials.get_credential)
    effect = await credentials.revocation_effect(
        database_of(request), operator_of(request), *_credential(request)
    )
    return page(request, "revoke.html", data=data, effect=effect)


@for_operators
async def post_revoke(request: Request) -> Response:
    form = await read_form(request)
    partner, key = _credential(request)
    require_typed_name(form, key)
    await credentials.revoke_credential(database_of(request), operator_of(request), partner, key)
    return redirect(request, path_of("partners", partner, "credentials"))


def _limit(name: str, text: str) -> str | int | None:
    text = text.strip()
    if not text:
        return None
    return text if name == "rate_limit" or not text.isdigit() else int(text[:20])


def _day(form: Form) -> datetime | None:
    """The begin of the day (UTC) on which a credential ends; None: never."""
    text = form.get("expires_at", "").strip()
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidParameter(f"expires_at: expected a date, got {text[:80]!r}.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _credential(request: Request) -> tuple[str, str]:
    return request.path_params["partner"], request.path_params["key"]
