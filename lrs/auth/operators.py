"""Operators: roles, and authentication by password, one-time link, session or token.

Sessions are in the database and not cached, so that a revocation holds from the next request on.
A credential of a partner, whatever its scopes, is never an operator.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lrs.auth import credential_secrets, passwords
from lrs.auth.passwords import PasswordThread
from lrs.errors import (
    Forbidden,
    InvalidParameter,
    Unauthorized,
    Violation,
)
from lrs.limits.failures import FailureThrottle
from lrs.observability import logs
from lrs.store import audit, registry
from lrs.store import operators as store
from lrs.store.operators import SessionKind
from lrs.store.postgres import Database, open_transaction

Role = Literal["viewer", "operator", "owner"]
Via = Literal["console", "api", "cli"]

ROLES: tuple[Role, ...] = ("viewer", "operator", "owner")
"""In the order of what they may do."""

TOKEN_PREFIX = "lrsop_"  # noqa: S105
LINK_SECONDS = 900
SESSION_SECONDS = 43_200
IDLE_SECONDS = 3_600

_EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f]{1,64}@[^@\s\x00-\x1f\x7f]{1,189}")

_WRONG_LOGIN = "The email or the password is wrong."
_WRONG_LINK = "The link is used, expired or wrong: ask an owner for a new one."


@dataclass(frozen=True, slots=True)
class Operator:
    """Who runs a use case of administration: a role for some partners, or for all (None)."""

    email: str
    role: Role
    partner_ids: frozenset[int] | None
    via: Via

    def may(self, role: Role) -> bool:
        """Whether the role includes another one."""
        return ROLES.index(self.role) >= ROLES.index(role)

    def require(self, role: Role) -> None:
        """Raises Forbidden unless the role includes another one."""
        if not self.may(role):
            raise Forbidden(f"This requires the role {role}; {self.email} is a {self.role}.")

    def require_all_partners(self) -> None:
        """Raises Forbidden for an operator of some partners."""
        if self.partner_ids is not None:
            raise Forbidden("This requires an operator of all partners.")

    def sees(self, partner_id: int) -> bool:
        return self.partner_ids is None or partner_id in self.partner_ids


@dataclass(frozen=True, slots=True)
class IssuedSession:
    """A new session; the database keeps a hash of the token."""

    token: str
    operator: Operator


class Operators:
    """Logins and sessions of operators in one worker."""

    def __init__(self, database: Database, throttle: FailureThrottle) -> None:
        self._database = database
        self._throttle = throttle
        self._passwords = PasswordThread()

    async def log_in(self, email: str, password: str, address: str, via: Via) -> IssuedSession:
        """A session for the right password. Raises Unauthorized, TooManyRequests, Overloaded."""
        email = email.strip().lower()
        key = f"operator {email}"
        self._throttle.check(address, key)
        account = await store.find(self._database, email) if _EMAIL.fullmatch(email) else None
        password_hash = account.password_hash if account and not account.disabled_at else None
        is_right = await self._passwords.matches(password[: passwords.MAX_LENGTH], password_hash)
        if not (account and is_right):
            self._throttle.failed(address, key)
            raise Unauthorized(_WRONG_LOGIN)
        self._throttle.succeeded(key)
        async with open_transaction(self._database) as database:
            return await _start_session(database, _operator(account, via), "password")

    async def log_in_external(
        self, email: str, role: str, partners: Sequence[str] | None, via: Via
    ) -> IssuedSession:
        """A session of an operator whom an identity provider has authenticated.

        The operator is added if need be, and has the role and partners of this login from now on.
        Raises InvalidParameter (email), Forbidden (disabled), NotFound (partner).
        """
        email, role = valid_email(email), valid_role(role)
        async with open_transaction(self._database) as database:
            partner_ids = None
            if partners is not None:
                rows = [await registry.get_partner(database, name) for name in partners]
                partner_ids = frozenset(row.partner_id for row in rows)
            operator = Operator(email, role, partner_ids, via)
            row = await store.find(database, email)
            if row and row.disabled_at:
                raise Forbidden("The operator is disabled.")
            after = {"role": role, "partners": partners and [*partners]}
            if row is None:
                await store.add(database, email, role, partner_ids)
                await record(database, operator, "operator.add", f"operator/{email}", after=after)
            elif (row.role, row.partner_ids) != (role, partner_ids):
                await store.update(
                    database, email, role=role, partner_ids=partner_ids, disabled_at=None
                )
                before = {"role": row.role}
                await record(
                    database,
                    operator,
                    "operator.set",
                    f"operator/{email}",
                    before=before,
                    after=after,
                )
            return await _start_session(database, operator, "oidc")

    async def check_link(self, token: str, address: str) -> str:
        """The email of the operator of a link, which stays usable. Raises Unauthorized."""
        self._throttle.check(address, None)
        email = await store.find_link(self._database, credential_secrets.hash_secret(token))
        if email is None:
            self._throttle.failed(address, None)
            raise Unauthorized(_WRONG_LINK)
        return email

    async def redeem_link(self, token: str, password: str, address: str, via: Via) -> IssuedSession:
        """Sets the password of the operator of a link, and starts a session.

        Other sessions of the operator end. Raises Unauthorized, InvalidParameter (password).
        """
        email = await self.check_link(token, address)
        passwords.check_new_password(password, email)
        password_hash = await self._passwords.hash(password)
        async with open_transaction(self._database) as database:
            if await store.use_link(database, credential_secrets.hash_secret(token)) is None:
                raise Unauthorized(_WRONG_LINK)
            row = await store.lock(database, email)
            await store.set_password(database, email, password_hash)
            await store.end_sessions(database, email, ["session", "link"])
            operator = _operator(row, via)
            await record(database, operator, "operator.set-password", f"operator/{email}")
            return await _start_session(database, operator, "link")

    async def authenticate_session(self, token: str, via: Via) -> Operator:
        """The operator of a session. Raises Unauthorized."""
        return await self._authenticate(token, "session", via)

    async def authenticate_token(self, token: str, address: str) -> Operator:
        """The operator of a token of `lrs operator token`. Raises Unauthorized, TooManyRequests."""
        self._throttle.check(address, None)
        try:
            return await self._authenticate(token, "token", "api")
        except Unauthorized:
            self._throttle.failed(address, None)
            raise

    async def log_out(self, token: str, operator: Operator) -> None:
        """Ends a session."""
        async with open_transaction(self._database) as database:
            if await store.end_session(database, credential_secrets.hash_secret(token)):
                await record(database, operator, "operator.logout", f"operator/{operator.email}")

    async def _authenticate(self, token: str, kind: SessionKind, via: Via) -> Operator:
        token_hash = credential_secrets.hash_secret(token)
        session = await store.find_session(self._database, token_hash, IDLE_SECONDS)
        if session is None or session.kind != kind:
            raise _no_operator(f"The {kind} has ended, or never existed: log in again.")
        if session.is_stale:
            await store.touch_session(self._database, token_hash)
        return Operator(session.email, _role(session.role), session.partner_ids, via)


async def record(
    database: Database,
    operator: Operator,
    action: str,
    subject: str,
    *,
    partner_id: int = audit.SERVER,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Appends an audit entry, such as `partner.set` of `partner/acme`."""
    await audit.append(
        database,
        partner_id=partner_id,
        operator=operator.email,
        via=operator.via,
        action=action,
        subject=subject,
        before=before,
        after=after,
        request_id=logs.request_id.get(),
    )


def valid_email(email: str) -> str:
    """The email in lower case. Raises InvalidParameter."""
    email = email.strip().lower()
    if not (_EMAIL.fullmatch(email) and email.isprintable()):
        detail = "expected an email address such as jo@example.com"
        raise InvalidParameter(
            f"{email[:80]!r} is not a valid email: {detail}.",
            violations=[Violation("/email", detail, "Operators")],
        )
    return email


def valid_role(role: str) -> Role:
    """Raises InvalidParameter for another text than a role."""
    if role not in ROLES:
        detail = f"expected {', '.join(ROLES[:-1])} or {ROLES[-1]}"
        raise InvalidParameter(
            f"{role[:80]!r} is not a role: {detail}.",
            violations=[Violation("/role", detail, "Operators")],
        )
    return role


async def _start_session(database: Database, operator: Operator, method: str) -> IssuedSession:
    token = credential_secrets.new_secret()
    token_hash = credential_secrets.hash_secret(token)
    await store.add_session(
        database, token_hash, operator.email, "session", seconds=SESSION_SECONDS
    )
    await store.record_login(database, operator.email)
    after = {"method": method}
    await record(database, operator, "operator.login", f"operator/{operator.email}", after=after)
    return IssuedSession(token, operator)


def _operator(row: store.StoredOperator, via: Via) -> Operator:
    return Operator(row.email, _role(row.role), row.partner_ids, via)


def _role(name: str) -> Role:
    return name  # type: ignore[return-value]


def _no_operator(detail: str) -> Unauthorized:
    return Unauthorized(detail, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})
