"""Use case for statements: which of a partner an operator may query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lrs.admin.partners import find_partner
from lrs.auth.operators import Operator, record
from lrs.errors import Forbidden
from lrs.store import credentials as stored_credentials
from lrs.store.postgres import Database
from lrs.store.registry import Partner
from lrs.store.storable_text import is_storable
from lrs.xapi.authorities import account_authority

_HIDDEN = ("agent", "attachments")
"""Parameters that tell a viewer identities."""


@dataclass(frozen=True, slots=True)
class StatementSource:
    """The statements of a partner, or those with one authority (an index key)."""

    partner: Partner
    authority_key: int | None


async def open_source(
    database: Database,
    operator: Operator,
    partner: str,
    parameters: Sequence[tuple[str, str]],
    *,
    credential: str | None = None,
) -> StatementSource:
    """The statements that a query with these parameters reads; recorded as a view of learners.

    Raises NotFound (partner, credential) and Forbidden (a viewer who asks for an agent).
    """
    partner_row = await find_partner(database, operator, partner)
    if not operator.may("operator"):
        for name, _ in parameters:
            if name in _HIDDEN:
                raise Forbidden(f"A viewer sees masked identities: {name} requires an operator.")
    authority_key = None
    subject = f"partner/{partner}"
    if credential is not None:
        row = await stored_credentials.get(database, partner_row.partner_id, credential)
        authority_key = account_authority(partner_row.home_page, row.key).key
        subject = f"credential/{row.key}"
    await record(
        database,
        operator,
        "statement.view",
        subject,
        partner_id=partner_row.partner_id,
        after={name: value for name, value in parameters if is_storable(name + value)},
    )
    return StatementSource(partner_row, authority_key)
