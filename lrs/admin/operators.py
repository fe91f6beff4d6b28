"""Use cases for operators: add, list, change, disable; one-time links and tokens."""

from __future__ import annotations

import getpass
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lrs.admin.views import Page, decode_cursor, page, require_version
from lrs.auth import credential_secrets
from lrs.auth.operators import LINK_SECONDS, TOKEN_PREFIX, Operator, record, valid_email, valid_role
from lrs.errors import Conflict, Forbidden, InvalidParameter, NotFound, Violation
from lrs.store import operators as store
from lrs.store import registry
from lrs.store.operators import SessionRow, StoredOperator
from lrs.store.postgres import Database, open_transaction
from lrs.store.storable_text import is_storable

DEMO_OWNER = "owner@localhost"
MAX_SESSIONS = 200
MAX_TOKEN_DAYS = 3_650

_SESSION_ID = re.compile("[0-9a-f]{16}")


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


@dataclass(frozen=True, slots=True)
class IssuedLink:
    """A one-time link that sets the password of an operator."""

    email: str
    token: str
    expires_at: datetime

    def url(self, base_url: str) -> str:
        return f"{base_url}/console/link?token={self.token}"


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A Bearer token of an operator, for scripts."""

    email: str
    token: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class EndedSession:
    """A link, session or token that has been revoked."""

    email: str
    session_id: str
    kind: str
    label: str


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
    email = email.strip().lower()
    if email != operator.email:
        operator.require("owner")
    row = await store.find(database, email)
    is_visible = row is not None and (
        email == operator.email or _manages(operator, row.partner_ids)
    )
    if row is None or not is_visible:
        raise NotFound(f"Operator {email[:80]!r} not found.")
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
        return await _issue_link(transaction, operator, email)


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
        row = await _lock(transaction, operator, email)
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
        row = await _lock(transaction, operator, email)
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


async def list_sessions(database: Database, operator: Operator, email: str) -> list[SessionRow]:
    """The links, sessions and tokens of an operator, newest first, at most MAX_SESSIONS.

    Every operator may read its own. Raises NotFound, Forbidden.
    """
    account = await get_operator(database, operator, email)
    return await store.list_sessions(database, account.email, MAX_SESSIONS)


async def end_session(
    database: Database, operator: Operator, email: str, session_id: str
) -> EndedSession:
    """Ends one link, session or token of an operator, by its id in the list.

    Every operator may end its own. Raises NotFound, Forbidden.
    """
    email = email.strip().lower()
    async with open_transaction(database) as transaction:
        if email != operator.email:
            email = (await _lock(transaction, operator, email)).email
        ended = None
        if _SESSION_ID.fullmatch(session_id):
            ended = await store.end_session_by_id(transaction, email, session_id)
        if ended is None:
            raise NotFound(f"{email} has no session, link or token {session_id[:80]!r}.")
        kind, label = ended
        before = {"kind": kind, "label": label, "session_id": session_id}
        await record(
            transaction, operator, f"operator.revoke-{kind}", f"operator/{email}", before=before
        )
        return EndedSession(email, session_id, kind, label)


async def end_sessions(database: Database, operator: Operator, email: str) -> None:
    """Ends all sessions, links and tokens of an operator. Raises NotFound, Forbidden."""
    async with open_transaction(database) as transaction:
        row = await _lock(transaction, operator, email)
        await store.end_sessions(transaction, row.email, ["session", "link", "token"])
        await record(transaction, operator, "operator.end-sessions", f"operator/{row.email}")


async def issue_link(database: Database, operator: Operator, email: str) -> IssuedLink:
    """A new one-time link; earlier ones end. Raises NotFound, Forbidden, Conflict (disabled)."""
    async with open_transaction(database) as transaction:
        row = await _lock(transaction, operator, email)
        _require_enabled(row)
        await record(transaction, operator, "operator.issue-link", f"operator/{row.email}")
        return await _issue_link(transaction, operator, row.email)


async def issue_token(
    database: Database, operator: Operator, email: str, *, days: int, label: str = ""
) -> IssuedToken:
    """A new Bearer token with the role of the operator.

    Raises NotFound, Forbidden, Conflict (disabled), InvalidParameter (days, label).
    """
    _check_token(days, label)
    async with open_transaction(database) as transaction:
        row = await _lock(transaction, operator, email)
        _require_enabled(row)
        token = f"{TOKEN_PREFIX}{credential_secrets.new_secret()}"
        expires_at = await store.add_session(
            transaction,
            credential_secrets.hash_secret(token),
            row.email,
            "token",
            seconds=days * 86_400,
            label=label,
        )
        after = {"label": label, "expires_at": expires_at.isoformat()}
        await record(
            transaction, operator, "operator.issue-token", f"operator/{row.email}", after=after
        )
        return IssuedToken(row.email, token, expires_at)


def _check_token(days: int, label: str) -> None:
    details = {}
    if not 1 <= days <= MAX_TOKEN_DAYS:
        details["expires_in_days"] = f"expected 1 to {MAX_TOKEN_DAYS}, got {days}"
    if len(label) > 255 or not is_storable(label):
        details["label"] = "expected at most 255 characters that can be stored"
    for name, detail in details.items():
        raise InvalidParameter(
            f"{name}: {detail}.", violations=[Violation(f"/{name}", detail, "Admin API")]
        )


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


async def _issue_link(database: Database, operator: Operator, email: str) -> IssuedLink:
    token = credential_secrets.new_secret()
    await store.end_sessions(database, email, ["link"])
    expires_at = await store.add_session(
        database, credential_secrets.hash_secret(token), email, "link", seconds=LINK_SECONDS
    )
    return IssuedLink(email, token, expires_at)


async def _lock(database: Database, operator: Operator, email: str) -> StoredOperator:
    """An operator that this one manages. Raises NotFound, Forbidden."""
    operator.require("owner")
    row = await store.lock(database, email.strip().lower())
    if not _manages(operator, row.partner_ids):
        raise NotFound(f"Operator {email!r} not found.")
    return row


def _manages(operator: Operator, partner_ids: frozenset[int] | None) -> bool:
    """Whether an owner sees all partners of another operator, which has at least one."""
    if operator.partner_ids is None:
        return True
    return partner_ids is not None and frozenset() < partner_ids <= operator.partner_ids


def _require_enabled(row: StoredOperator) -> None:
    if row.disabled_at:
        raise Conflict(f"Operator {row.email!r} is disabled.")


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
