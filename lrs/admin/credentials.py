"""Use cases for credentials: list, issue, change, rotate, revoke."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from lrs import resources
from lrs.admin.limit_changes import OF_CREDENTIAL, changed_limits
from lrs.admin.partners import find_partner
from lrs.admin.views import Page, decode_cursor, difference, page, require_version
from lrs.auth import credentials, scopes
from lrs.auth.operators import Operator, record
from lrs.auth.overlap import overlap_end
from lrs.errors import InvalidParameter, NotFound, Violation
from lrs.store import addresses, registry
from lrs.store import credentials as store
from lrs.store.addresses import CredentialAddress
from lrs.store.credentials import CredentialUse, Position
from lrs.store.postgres import Database, open_transaction, translate_errors
from lrs.store.storable_text import is_storable

KINDS = ("client", "bearer")

_REVOCATION_EFFECT = resources.query("count_credential_effect")


@dataclass(frozen=True, slots=True)
class IssuedCredential:
    """A credential with its secret in clear text, which is returned once.

    `token` is the static token of a `bearer` credential.
    """

    key: str
    kind: str
    secret: str
    token: str | None
    previous_secret_until: datetime | None = None


async def list_credentials(
    database: Database,
    operator: Operator,
    partner: str | None = None,
    *,
    cursor: str | None = None,
    limit: int = 100,
) -> Page[CredentialUse]:
    """The next credentials by partner and time of creation. Raises NotFound (partner)."""
    within = operator.partner_ids
    if partner is not None:
        within = frozenset({(await find_partner(database, operator, partner)).partner_id})
    after = decode_cursor(cursor, Position) if cursor else store.START
    rows = await store.fetch_page(database, after=after, within=within, limit=limit + 1)
    return page(rows, limit, lambda row: (row.partner, row.created_at, row.key))


async def get_credential(
    database: Database, operator: Operator, partner: str, key: str
) -> CredentialUse:
    """Raises NotFound."""
    partner_row = await find_partner(database, operator, partner)
    return await store.get(database, partner_row.partner_id, key)


async def list_addresses(
    database: Database, operator: Operator, partner: str, key: str
) -> list[CredentialAddress]:
    """Addresses from which a credential was used in the last day, the last used one first.

    At most 100, some of many. Raises NotFound, Forbidden (a viewer: addresses may be learners').
    """
    operator.require("operator")
    partner_row = await find_partner(database, operator, partner)
    credential = await store.get(database, partner_row.partner_id, key)
    since = datetime.now(UTC) - timedelta(days=1)
    return await addresses.list_addresses(database, partner_row.partner_id, credential.key, since)


async def add_credential(
    database: Database,
    operator: Operator,
    partner: str,
    *,
    kind: str = "client",
    label: str = "",
    granted: Collection[str] = (scopes.ALL,),
    expires_at: datetime | None = None,
    key: str | None = None,
) -> IssuedCredential:
    """Raises NotFound, InvalidParameter, Conflict (key), Forbidden."""
    operator.require("operator")
    if kind not in KINDS:
        raise _invalid("kind", f"expected {' or '.join(KINDS)}, got {kind[:80]!r}")
    _check_label(label)
    _check_scopes(granted)
    _check_expiry(expires_at)
    async with open_transaction(database) as transaction:
        partner_row = await find_partner(transaction, operator, partner)
        issued = await credentials.add_credential(
            transaction,
            partner_row,
            kind=kind,
            label=label,
            granted=frozenset(granted),
            expires_at=expires_at,
            key=key,
        )
        after = {"kind": kind, "label": label, "scopes": sorted(granted), "expires_at": expires_at}
        await _record(
            transaction, operator, "credential.add", partner_row.partner_id, issued.key, after=after
        )
        return _issued(issued)


async def set_credential(
    database: Database,
    operator: Operator,
    partner: str,
    key: str,
    changes: dict[str, Any],
    expected: Collection[str] | None = None,
) -> CredentialUse:
    """Changes `label`, `scopes`, `expires_at` (None: never) and `limits`.

    Running servers apply them within seconds. Raises NotFound, InvalidParameter,
    PreconditionFailed, Forbidden.
    """
    operator.require("operator")
    async with open_transaction(database) as transaction:
        partner_row = await find_partner(transaction, operator, partner)
        before = await store.lock(transaction, partner_row.partner_id, key)
        require_version(before, expected)
        after = _changed(before, changes)
        if after == before:
            return before
        await store.update(transaction, partner_row.partner_id, after)
        old, new = difference(before, after)
        await _record(
            transaction,
            operator,
            "credential.set",
            partner_row.partner_id,
            key,
            before=old,
            after=new,
        )
        return after


async def rotate_credential(
    database: Database, operator: Operator, partner: str, key: str, overlap_hours: float
) -> IssuedCredential:
    """A new secret; the old one stays valid for the overlap. Raises NotFound, Forbidden."""
    operator.require("operator")
    until = overlap_end(overlap_hours)
    async with open_transaction(database) as transaction:
        partner_row = await find_partner(transaction, operator, partner)
        await store.lock(transaction, partner_row.partner_id, key)
        issued = await credentials.rotate_credential(transaction, key, until)
        await _record(
            transaction,
            operator,
            "credential.rotate",
            partner_row.partner_id,
            key,
            after={"previous_secret_until": until},
        )
        return _issued(issued, until)


async def revoke_credential(
    database: Database, operator: Operator, partner: str, key: str
) -> CredentialUse:
    """Raises NotFound, also if it is revoked already, and Forbidden."""
    operator.require("operator")
    async with open_transaction(database) as transaction:
        partner_row = await find_partner(transaction, operator, partner)
        await store.lock(transaction, partner_row.partner_id, key)
        await registry.revoke_credential(transaction, key)
        await _record(transaction, operator, "credential.revoke", partner_row.partner_id, key)
        return await store.get(transaction, partner_row.partner_id, key)


async def partner_of(database: Database, operator: Operator, key: str) -> str:
    """The partner of a credential, for commands that name only the key. Raises NotFound."""
    credential = await registry.find_credential(database, key)
    if credential is None or not operator.sees(credential.partner_id):
        raise NotFound(f"Credential {key!r} not found.")
    return credential.partner


def _changed(credential: CredentialUse, changes: dict[str, Any]) -> CredentialUse:
    label = changes.get("label", credential.label)
    _check_label(label)
    granted = changes.get("scopes", credential.scopes)
    _check_scopes(granted)
    if "expires_at" in changes:
        _check_expiry(changes["expires_at"])
    return replace(
        credential,
        label=label,
        scopes=tuple(sorted(credentials.valid_scopes(frozenset(granted)))),
        expires_at=changes.get("expires_at", credential.expires_at),
        limits=changed_limits(credential.limits, changes.get("limits", {}), OF_CREDENTIAL),
    )


def _check_label(label: str) -> None:
    if len(label) > 255:
        raise _invalid("label", "expected at most 255 characters")
    if not is_storable(label):
        raise _invalid("label", "contains a character that cannot be stored")


def _check_scopes(granted: Collection[str]) -> None:
    if not granted:
        raise _invalid("scopes", "expected at least one scope")


def _check_expiry(expires_at: datetime | None) -> None:
    if expires_at is None:
        return
    if expires_at.tzinfo is None:
        raise _invalid("expires_at", "expected a time with an offset")
    if expires_at <= datetime.now(UTC):
        raise _invalid("expires_at", "expected a time in the future")


async def _record(
    database: Database,
    operator: Operator,
    action: str,
    partner_id: int,
    key: str,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    await record(
        database,
        operator,
        action,
        f"credential/{key}",
        partner_id=partner_id,
        before=before,
        after=after,
    )


def _issued(
    issued: credentials.IssuedCredential, until: datetime | None = None
) -> IssuedCredential:
    token = issued.token if issued.kind == "bearer" else None
    return IssuedCredential(issued.key, issued.kind, issued.secret, token, until)


def _invalid(name: str, detail: str) -> InvalidParameter:
    return InvalidParameter(
        f"{name}: {detail}.", violations=[Violation(f"/{name}", detail, "Admin API")]
    )


@dataclass(frozen=True, slots=True)
class RevocationEffect:
    """Items that a credential has sent in the last 24 hours."""

    stored: int
    refused: int


async def revocation_effect(
    database: Database, operator: Operator, partner: str, key: str
) -> RevocationEffect:
    """What the credential has sent in the last 24 hours. Raises NotFound."""
    partner_row = await find_partner(database, operator, partner)
    since = datetime.now(UTC) - timedelta(hours=24)
    with translate_errors():
        (row,) = await database.readers.fetch(
            _REVOCATION_EFFECT, partner_row.partner_id, key, since
        )
    return RevocationEffect(row["stored"], row["refused"])
