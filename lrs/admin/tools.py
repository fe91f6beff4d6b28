"""Use cases for LTI tools: list, add, rotate, revoke."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lrs.admin.partners import find_partner
from lrs.auth import tools
from lrs.auth.operators import Operator, record
from lrs.auth.overlap import overlap_end
from lrs.auth.secret_box import SecretBox
from lrs.auth.tools import IssuedTool
from lrs.store import tools as store
from lrs.store.postgres import Database, open_transaction
from lrs.store.tools import Tool


@dataclass(frozen=True, slots=True)
class ToolView:
    """A tool without its secret."""

    partner: str
    name: str
    consumer_key: str
    created_at: datetime
    revoked_at: datetime | None
    reused_ids: int


async def list_tools(
    database: Database, operator: Operator, partner: str | None = None
) -> list[ToolView]:
    """The tools of a partner, or of all that the operator sees. Raises NotFound (partner)."""
    if partner is not None:
        await find_partner(database, operator, partner)
    rows = await store.list_tools(database, partner)
    return [_view(row) for row in rows if operator.sees(row.partner_id)]


async def add_tool(
    database: Database,
    operator: Operator,
    secret_box: SecretBox,
    partner: str,
    name: str,
    *,
    consumer_key: str | None = None,
    secret: str | None = None,
) -> IssuedTool:
    """Raises NotFound, InvalidParameter, Conflict, Forbidden."""
    operator.require("operator")
    async with open_transaction(database) as transaction:
        partner_row = await find_partner(transaction, operator, partner)
        issued = await tools.add_tool(
            transaction,
            secret_box,
            partner_row.partner_id,
            name,
            consumer_key=consumer_key,
            secret=secret,
        )
        after = {"consumer_key": issued.consumer_key}
        await _record(transaction, operator, "tool.add", partner_row.partner_id, name, after)
        return issued


async def rotate_tool(
    database: Database,
    operator: Operator,
    secret_box: SecretBox,
    partner: str,
    name: str,
    overlap_hours: float,
) -> IssuedTool:
    """A new secret; the old one stays valid for the overlap. Raises NotFound, Forbidden."""
    operator.require("operator")
    until = overlap_end(overlap_hours)
    async with open_transaction(database) as transaction:
        partner_row = await find_partner(transaction, operator, partner)
        issued = await tools.rotate_tool(
            transaction, secret_box, partner_row.partner_id, name, until
        )
        after = {"previous_secret_until": until}
        await _record(transaction, operator, "tool.rotate", partner_row.partner_id, name, after)
        return issued


async def revoke_tool(database: Database, operator: Operator, partner: str, name: str) -> None:
    """Raises NotFound, also if it is revoked already, and Forbidden."""
    operator.require("operator")
    async with open_transaction(database) as transaction:
        partner_row = await find_partner(transaction, operator, partner)
        await store.revoke_tool(transaction, partner_row.partner_id, tools.check_name(name))
        await _record(transaction, operator, "tool.revoke", partner_row.partner_id, name, None)


async def set_page_views(
    database: Database, operator: Operator, partner: str, enabled: bool | None
) -> None:
    """Whether callbacks of a partner create page views; None: as the settings say."""
    operator.require("operator")
    async with open_transaction(database) as transaction:
        partner_row = await find_partner(transaction, operator, partner)
        await store.set_page_views(transaction, partner, enabled)
        await record(
            transaction,
            operator,
            "partner.set",
            f"partner/{partner}",
            partner_id=partner_row.partner_id,
            after={"page_views": enabled},
        )


async def _record(
    database: Database,
    operator: Operator,
    action: str,
    partner_id: int,
    name: str,
    after: dict[str, Any] | None,
) -> None:
    await record(database, operator, action, f"tool/{name}", partner_id=partner_id, after=after)


def _view(tool: Tool) -> ToolView:
    return ToolView(
        tool.partner,
        tool.name,
        tool.consumer_key,
        tool.created_at,
        tool.revoked_at,
        tool.reused_ids,
    )
