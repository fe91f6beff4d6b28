"""The audit log: who changed what, and who looked at a learner."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from lrs.admin.partners import find_partner
from lrs.admin.views import Page, decode_cursor, page
from lrs.auth.operators import Operator
from lrs.store import audit as store
from lrs.store.audit import AuditEntry
from lrs.store.postgres import Database


class _Position(NamedTuple):
    at: datetime
    entry_id: UUID


async def list_entries(
    database: Database,
    operator: Operator,
    *,
    partner: str | None = None,
    by: str | None = None,
    action: str | None = None,
    subject: str | None = None,
    since: datetime | None = None,
    cursor: str | None = None,
    limit: int = 100,
) -> Page[AuditEntry]:
    """The entries, newest first, of the partners that the operator sees.

    `by` is the email of an operator, `action` the begin of an action such as `credential`,
    `subject` an object such as `credential/KEY`. Raises NotFound (partner), Forbidden.
    """
    operator.require("operator")
    within = operator.partner_ids
    if partner is not None:
        within = frozenset({(await find_partner(database, operator, partner)).partner_id})
    position = decode_cursor(cursor, _Position) if cursor else store.NEWEST
    rows = await store.fetch_page(
        database,
        before=position,
        within=within,
        by=by,
        action=action,
        subject=subject,
        since=since,
        limit=limit + 1,
    )
    return page(rows, limit, lambda row: (row.at, row.entry_id))
