"""Use cases for partners: list, add, change, disable, enable; limits and what is used of them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from lrs.admin.limit_changes import OF_PARTNER, changed_limits
from lrs.admin.views import Page, decode_cursor, difference, page, require_version
from lrs.auth import credentials
from lrs.auth.operators import Operator, record
from lrs.errors import Conflict, InvalidParameter, NotFound, Violation
from lrs.projection import lag
from lrs.reports import suspension
from lrs.store import limits, partner_settings, registry
from lrs.store.limits import QuotaUsage
from lrs.store.postgres import Database, open_transaction
from lrs.store.registry import LimitOverrides, Partner
from lrs.store.storable_text import is_storable

MAX_TEXT = 255


@dataclass(frozen=True, slots=True)
class PartnerView:
    """A partner as operators see it; limits and settings are those that differ from defaults."""

    name: str
    title: str
    home_page: str
    created_at: datetime
    limits: LimitOverrides
    settings: dict[str, Any]
    disabled_at: datetime | None
    disabled_reason: str | None


@dataclass(frozen=True, slots=True)
class PartnerUsage:
    """The overrides of a partner's limits, and what it has used of its quotas."""

    limits: LimitOverrides
    usage: list[QuotaUsage]


async def find_partner(database: Database, operator: Operator, name: str) -> Partner:
    """The partner. Raises NotFound, also for one that the operator does not see."""
    partner = await registry.get_partner(database, name)
    if not operator.sees(partner.partner_id):
        raise NotFound(f"Partner {name!r} not found.")
    return partner


async def list_partners(
    database: Database,
    operator: Operator,
    *,
    search: str = "",
    cursor: str | None = None,
    limit: int = 100,
) -> Page[PartnerView]:
    """The next partners by name; `search` is a part of the name or title."""
    (after,) = decode_cursor(cursor, tuple[str]) if cursor else ("",)
    rows = await registry.fetch_partner_page(
        database, after=after, within=operator.partner_ids, search=search, limit=limit + 1
    )
    return page([_view(row) for row in rows], limit, lambda row: (row.name,))


async def get_partner(database: Database, operator: Operator, name: str) -> PartnerView:
    """Raises NotFound."""
    return _view(await find_partner(database, operator, name))


async def needs_rebuild(database: Database, name: str) -> bool:
    """Whether the reports follow earlier settings, or rules of an earlier version."""
    partner = await registry.get_partner(database, name)
    return await lag.needs_rebuild(database, partner.partner_id)


async def get_usage(database: Database, operator: Operator, name: str) -> PartnerUsage:
    """Raises NotFound."""
    partner = await find_partner(database, operator, name)
    return PartnerUsage(partner.limits, await limits.list_usage(database, partner.partner_id))


async def add_partner(
    database: Database, operator: Operator, name: str, title: str, home_page: str
) -> PartnerView:
    """Raises InvalidParameter, Conflict, Forbidden."""
    operator.require("operator")
    operator.require_all_partners()
    _require_text("/title", title)
    async with open_transaction(database) as transaction:
        added = await credentials.add_partner(transaction, name, title, home_page)
        after = {"title": title, "home_page": added.home_page}
        await record(
            transaction,
            operator,
            "partner.add",
            f"partner/{name}",
            partner_id=added.partner_id,
            after=after,
        )
        return _view(added)


async def set_partner(
    database: Database,
    operator: Operator,
    name: str,
    changes: dict[str, Any],
    expected: Collection[str] | None = None,
) -> PartnerView:
    """Changes `title`, `home_page`, `limits` and `settings`; see `changed_limits`.

    The home page can change until the first statement is stored: ids and authorities contain it.
    `expected` are the entity tags of which the partner must have one. Raises NotFound, Conflict,
    InvalidParameter, PreconditionFailed, Forbidden.
    """
    operator.require("operator")
    async with open_transaction(database) as transaction:
        before = await _lock(transaction, operator, name)
        require_version(_view(before), expected)
        after = await _changed(transaction, before, changes)
        if after == before:
            return _view(before)
        await registry.set_partner(transaction, after)
        if after.limits != before.limits:
            await registry.set_partner_limits(transaction, name, after.limits)
        if after.settings != before.settings:
            await registry.set_partner_settings(transaction, name, after.settings)
        await _record_change(transaction, operator, "partner.set", before, after)
        return _view(after)


async def disable_partner(
    database: Database, operator: Operator, name: str, reason: str
) -> PartnerView:
    """Refuses all requests of a partner, with the reason, on all workers within seconds.

    Its reporting roles lose their access and sessions. Idempotent. Raises NotFound,
    InvalidParameter, Forbidden.
    """
    _require_text("/reason", reason, required=True)
    return await _set_disabled(database, operator, name, reason)


async def enable_partner(database: Database, operator: Operator, name: str) -> PartnerView:
    """Accepts requests of a disabled partner again, and those of its reporting roles.

    Idempotent. Raises NotFound, Forbidden.
    """
    return await _set_disabled(database, operator, name, None)


async def _set_disabled(
    database: Database, operator: Operator, name: str, reason: str | None
) -> PartnerView:
    operator.require("operator")
    async with open_transaction(database) as transaction:
        before = await _lock(transaction, operator, name)
        if before.disabled_reason == reason:
            return _view(before)
        now = before.disabled_at or datetime.now(UTC)
        after = replace(
            before, disabled_at=now if reason is not None else None, disabled_reason=reason
        )
        await registry.set_partner(transaction, after)
        action = "partner.enable" if reason is None else "partner.disable"
        await _record_change(transaction, operator, action, before, after)
        if reason is None:
            await suspension.resume(transaction, after.partner_id)
        else:
            await suspension.suspend(transaction, after.partner_id)
    if reason is not None:
        await suspension.end_sessions(database, after.partner_id)
    return _view(after)


async def _lock(database: Database, operator: Operator, name: str) -> Partner:
    partner = await registry.lock_partner(database, name)
    if not operator.sees(partner.partner_id):
        raise NotFound(f"Partner {name!r} not found.")
    return partner


async def _changed(database: Database, partner: Partner, changes: dict[str, Any]) -> Partner:
    home_page = partner.home_page
    if "home_page" in changes:
        home_page = credentials.valid_home_page(changes["home_page"])
    if home_page != partner.home_page and await registry.has_statements(
        database, partner.partner_id
    ):
        raise Conflict(
            f"Partner {partner.name!r} has statements, whose authorities contain the home page."
        )
    title = changes.get("title", partner.title)
    _require_text("/title", title)
    return replace(
        partner,
        title=title,
        home_page=home_page,
        limits=changed_limits(partner.limits, changes.get("limits", {}), OF_PARTNER),
        settings=partner_settings.change(partner.settings, changes.get("settings", {})),
    )


async def _record_change(
    database: Database, operator: Operator, action: str, before: Partner, after: Partner
) -> None:
    old, new = difference(_view(before), _view(after))
    await record(
        database,
        operator,
        action,
        f"partner/{after.name}",
        partner_id=after.partner_id,
        before=old,
        after=new,
    )


def _require_text(pointer: str, text: str, *, required: bool = False) -> None:
    """Raises InvalidParameter for a text that is too long, or missing."""
    detail = ""
    if len(text) > MAX_TEXT or (required and not text.strip()):
        detail = f"expected {1 if required else 0} to {MAX_TEXT} characters"
    elif not is_storable(text):
        detail = "contains a character that cannot be stored"
    if detail:
        name = pointer.lstrip("/")
        raise InvalidParameter(
            f"{name}: {detail}.", violations=[Violation(pointer, detail, "Admin API")]
        )


def _view(partner: Partner) -> PartnerView:
    return PartnerView(
        partner.name,
        partner.title,
        partner.home_page,
        partner.created_at,
        partner.limits,
        partner_settings.differing(partner.settings),
        partner.disabled_at,
        partner.disabled_reason,
    )
