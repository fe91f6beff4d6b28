"""Use cases for the accounts of operators: add, list, change, disable."""

from __future__ import annotations

import getpass
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lrs.admin import managed_operators
from lrs.admin.sessions import IssuedLink, new_link
from lrs.admin.views import Page, decode_cursor, page, require_version
from lrs.auth.operators import Operator, record, valid_email, valid_role
from lrs.errors import Conflict, Forbidden, NotFound
from lrs.store import operators as store
from lrs.store import registry
from lrs.store.operators import StoredOperator
from lrs.store.postgres import Database, open_transaction

DEMO_OWNER = "owner@localhost"


@dataclass(frozen=True, slots=True)
class OperatorAccount:
    """An operator with the names of the partners; None: all partners."""

    email: str
    role: str
    partners: tuple[str, ...] | None
    created_at: datetime
    disabled_at: datetime | None
    last_login_at: datetime | None
    has_password: bool


def command_operator() -> Operator:
    """The user who runs a command: an owner, since the database is open to commands."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a user id without a name
        user = "unknown"
    return Operator(user, "owner", None, "cli")


async def list_operators(
    database: Database, operator: Operator, *, after: str = "", limit: int = 100
) -> list[OperatorAccount]:
    """The next operators by email: those that see no partner that this one does not see."""
    operator.require("owner")
    rows = await store.fetch_page(database, after=after, limit=limit, within=operator.partner_ids)
    names = await _partner_names(database)
    return [_account(row, names) for row in rows]


async def list_page(
    database: Database, operator: Operator, *, cursor: str | None = None, limit: int = 100
) -> Page[OperatorAccount]:
    """The operators by email, page by page."""
    (after,) = decode_cursor(cursor, tuple[str]) if cursor else ("",)
    rows = await list_operators(database, operator, after=after, limit=limit + 1)
    return page(rows, limit, lambda row: (row.email,))


async def get_operator(database: Database, operator: Operator, email: str) -> OperatorAccount:
    """An operator, for owners, and for itself. Raises NotFound, Forbidden."""
    row = await managed_operators.find(database, operator, email)
    return _account(row, await _partner_names(database))


async def add_operator(
    database: Database,
    operator: Operator,
    email: str,
    role: str,
    partners: Sequence[str] | None = None,
) -> IssuedLink:
    """Adds an operator for the partners, or for all (None).

    Raises InvalidParameter, NotFound (partner), Conflict, Forbidden.
    """
    operator.require("owner")
    email, role = valid_email(email), valid_role(role)
    async with open_transaction(database) as transaction:
        partner_ids = await _partner_ids(transaction, operator, partners)
        await store.add(transaction, email, role, partner_ids)
        after = {"role": role, "partners": _names(partners)}
        await record(transaction, operator, "operator.add", f"operator/{email}", after=after)
        return await new_link(transaction, email)


async def set_operator(
    database: Database,
    operator: Operator,
    email: str,
    changes: dict[str, Any],
    expected: Collection[str] | None = None,
) -> OperatorAccount:
    """Changes `role` and `partners` (names, or None for all); sessions continue with them.

    `expected` are the entity tags of which the account must have one. Raises NotFound,
    InvalidParameter, PreconditionFailed, Forbidden, Conflict (the last owner).
    """
    async with open_transaction(database) as transaction:
        row = await managed_operators.lock(transaction, operator, email)
        before = _account(row, await _partner_names(transaction))
        require_version(before, expected)
        partner_ids = row.partner_ids
        if "partners" in changes:
            partner_ids = await _partner_ids(transaction, operator, changes["partners"])
        role = valid_role(changes.get("role", row.role))
        await store.update(
            transaction,
            row.email,
            role=role,
            partner_ids=partner_ids,
            disabled_at=row.disabled_at,
        )
        await _require_an_owner(transaction, operator, row)
        after = {"role": role, "partners": _names(changes.get("partners", before.partners))}
        await record(
            transaction,
            operator,
            "operator.set",
            f"operator/{row.email}",
            before={"role": row.role, "partners": _names(before.partners)},
            after=after,
        )
        return await get_operator(transaction, operator, row.email)


async def set_disabled(
    database: Database, operator: Operator, email: str, *, disabled: bool
) -> None:
    """Disables an operator and ends all sessions, links and tokens, or enables one again.

    Idempotent. Raises NotFound, Forbidden, Conflict (the last owner).
    """
    async with open_transaction(database) as transaction:
        row = await managed_operators.lock(transaction, operator, email)
        if disabled:
            await store.end_sessions(transaction, row.email, ["session", "link", "token"])
        if disabled == (row.disabled_at is not None):
            return
        await store.update(
            transaction,
            row.email,
            role=row.role,
            partner_ids=row.partner_ids,
            disabled_at=datetime.now(UTC) if disabled else None,
        )
        await _require_an_owner(transaction, operator, row)
        action = "operator.disable" if disabled else "operator.enable"
        await record(transaction, operator, action, f"operator/{row.email}")


async def partner_names(database: Database, operator: Operator) -> list[str]:
    """The names of the partners that an operator sees."""
    names = await _partner_names(database)
    return sorted(name for number, name in names.items() if operator.sees(number))


async def add_demo_owner(database: Database) -> IssuedLink | None:
    """The first owner of a new server, with a one-time link; None if there is an operator."""
    if await store.exist(database):
        return None
    try:
        return await add_operator(database, command_operator(), DEMO_OWNER, "owner")
    except Conflict:
        return None


async def _require_an_owner(database: Database, operator: Operator, before: StoredOperator) -> None:
    """Raises Conflict if a change has left nobody to manage all operators, except by a command."""
    was_owner = before.role == "owner" and before.partner_ids is None and not before.disabled_at
    if was_owner and operator.via != "cli" and not await store.count_unrestricted_owners(database):
        raise Conflict(f"{before.email!r} is the last owner: add another one first.")


async def _partner_ids(
    database: Database, operator: Operator, partners: Sequence[str] | None
) -> frozenset[int] | None:
    """The ids of partners by name. Raises NotFound, Forbidden (all, for an owner of some)."""
    if partners is None:
        if operator.partner_ids is not None:
            raise Forbidden("An owner of some partners adds operators for these only.")
        return None
    rows = [await registry.get_partner(database, name) for name in dict.fromkeys(partners)]
    for row in rows:
        if not operator.sees(row.partner_id):
            raise NotFound(f"Partner {row.name!r} not found.")
    return frozenset(row.partner_id for row in rows)


async def _partner_names(database: Database) -> dict[int, str]:
    return {row.partner_id: row.name for row in await registry.list_partners(database)}


def _account(row: StoredOperator, names: dict[int, str]) -> OperatorAccount:
    partners = None
    if row.partner_ids is not None:
        partners = tuple(sorted(names[number] for number in row.partner_ids if number in names))
    return OperatorAccount(
        row.email,
        row.role,
        partners,
        row.created_at,
        row.disabled_at,
        row.last_login_at,
        row.password_hash is not None,
    )


def _names(partners: Sequence[str] | None) -> list[str] | str:
    """The partners in an audit entry."""
    return "all" if partners is None else [*partners]
