"""Use case for files of report tables: which of a partner an operator may download."""

from __future__ import annotations

from lrs.admin.partners import find_partner
from lrs.auth.operators import Operator, record
from lrs.errors import Forbidden
from lrs.store.postgres import Database
from lrs.store.registry import Partner
from lrs.store.storable_text import is_storable

_MAX_NAME = 80


async def open_table(database: Database, operator: Operator, partner: str, table: str) -> Partner:
    """The partner of a table that is downloaded; an audit entry. Raises NotFound, Forbidden."""
    if not operator.may("operator"):
        raise Forbidden("A viewer sees masked identities: only operators and owners export tables.")
    partner_row = await find_partner(database, operator, partner)
    name = table[:_MAX_NAME] if is_storable(table) else ""
    await record(
        database,
        operator,
        "report.export",
        f"partner/{partner}",
        partner_id=partner_row.partner_id,
        after={"table": name},
    )
    return partner_row
