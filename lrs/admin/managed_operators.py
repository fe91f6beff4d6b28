"""The operators that an operator sees and manages."""

from __future__ import annotations

from lrs.auth.operators import Operator
from lrs.errors import Conflict, NotFound
from lrs.store import operators as store
from lrs.store.operators import StoredOperator
from lrs.store.postgres import Database


async def find(database: Database, operator: Operator, email: str) -> StoredOperator:
    """An operator, for owners, and for itself. Raises NotFound, Forbidden."""
    email = email.strip().lower()
    if email != operator.email:
        operator.require("owner")
    row = await store.find(database, email)
    is_visible = row is not None and (email == operator.email or manages(operator, row.partner_ids))
    if row is None or not is_visible:
        raise NotFound(f"Operator {email[:80]!r} not found.")
    return row


async def lock(database: Database, operator: Operator, email: str) -> StoredOperator:
    """An operator that this one manages. Raises NotFound, Forbidden."""
    operator.require("owner")
    row = await store.lock(database, email.strip().lower())
    if not manages(operator, row.partner_ids):
        raise NotFound(f"Operator {email[:80]!r} not found.")
    return row


def manages(operator: Operator, partner_ids: frozenset[int] | None) -> bool:
    """Whether an owner sees all partners of another operator, which has at least one."""
    if operator.partner_ids is None:
        return True
    return partner_ids is not None and frozenset() < partner_ids <= operator.partner_ids


def require_enabled(row: StoredOperator) -> None:
    if row.disabled_at:
        raise Conflict(f"Operator {row.email!r} is disabled.")
