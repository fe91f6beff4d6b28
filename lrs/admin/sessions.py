"""Use cases for what operators log in with: one-time links, sessions and tokens."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from lrs.admin import managed_operators
from lrs.auth import credential_secrets
from lrs.auth.operators import LINK_SECONDS, TOKEN_PREFIX, Operator, record
from lrs.errors import InvalidParameter, NotFound, Violation
from lrs.store import operators as store
from lrs.store.operators import SessionRow
from lrs.store.postgres import Database, open_transaction
from lrs.store.storable_text import is_storable

MAX_SESSIONS = 200
MAX_TOKEN_DAYS = 3_650

_SESSION_ID = re.compile("[0-9a-f]{16}")


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


async def list_sessions(database: Database, operator: Operator, email: str) -> list[SessionRow]:
    """The links, sessions and tokens of an operator, newest first, at most MAX_SESSIONS.

    Every operator may read its own. Raises NotFound, Forbidden.
    """
    row = await managed_operators.find(database, operator, email)
    return await store.list_sessions(database, row.email, MAX_SESSIONS)


async def end_session(
    database: Database, operator: Operator, email: str, session_id: str
) -> EndedSession:
    """Ends one link, session or token of an operator, by its id in the list.

    Every operator may end its own. Raises NotFound, Forbidden.
    """
    email = email.strip().lower()
    async with open_transaction(database) as transaction:
        if email != operator.email:
            email = (await managed_operators.lock(transaction, operator, email)).email
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
        row = await managed_operators.lock(transaction, operator, email)
        await store.end_sessions(transaction, row.email, ["session", "link", "token"])
        await record(transaction, operator, "operator.end-sessions", f"operator/{row.email}")


async def issue_link(database: Database, operator: Operator, email: str) -> IssuedLink:
    """A new one-time link; earlier ones end. Raises NotFound, Forbidden, Conflict (disabled)."""
    async with open_transaction(database) as transaction:
        row = await managed_operators.lock(transaction, operator, email)
        managed_operators.require_enabled(row)
        await record(transaction, operator, "operator.issue-link", f"operator/{row.email}")
        return await new_link(transaction, row.email)


async def issue_token(
    database: Database, operator: Operator, email: str, *, days: int, label: str = ""
) -> IssuedToken:
    """A new Bearer token with the role of the operator.

    Raises NotFound, Forbidden, Conflict (disabled), InvalidParameter (days, label).
    """
    _check_token(days, label)
    async with open_transaction(database) as transaction:
        row = await managed_operators.lock(transaction, operator, email)
        managed_operators.require_enabled(row)
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


async def new_link(database: Database, email: str) -> IssuedLink:
    """A one-time link in the transaction of the caller; earlier ones end."""
    token = credential_secrets.new_secret()
    await store.end_sessions(database, email, ["link"])
    expires_at = await store.add_session(
        database, credential_secrets.hash_secret(token), email, "link", seconds=LINK_SECONDS
    )
    return IssuedLink(email, token, expires_at)


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
