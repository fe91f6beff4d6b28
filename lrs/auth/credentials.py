"""Use cases for partners and their credentials: add a partner, issue and rotate a credential."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from lrs.auth import credential_secrets, name_rules, scopes
from lrs.errors import InvalidParameter
from lrs.store import registry
from lrs.store.postgres import Database
from lrs.store.registry import Partner
from lrs.xapi.validation import is_iri

_HOME_PAGE = re.compile(r"https?://[^/?#\s]+(/[^?#\s]*)?")


@dataclass(frozen=True, slots=True)
class IssuedCredential:
    """A new or rotated credential with its secret in clear text; the database keeps only a hash."""

    key: str
    secret: str
    kind: str

    @property
    def token(self) -> str:
        """The static token of a `bearer` credential."""
        return credential_secrets.bearer_token(self.key, self.secret)


def default_home_page(base_url: str, partner: str) -> str:
    """The base URL for the partner's ids, if the operator sets no other."""
    return f"{base_url}/partners/{partner}"


async def add_partner(database: Database, name: str, title: str, home_page: str) -> Partner:
    """Adds a partner. Raises InvalidParameter (malformed name or home page) and Conflict."""
    name_rules.require_valid(name, "partner")
    home_page = home_page.rstrip("/")
    if not (_HOME_PAGE.fullmatch(home_page) and is_iri(home_page)):
        raise InvalidParameter(
            f"{home_page[:80]!r} is not a valid home page: use an absolute URL such as "
            "https://partner.example."
        )
    return await registry.add_partner(database, name, title, home_page)


async def add_credential(
    database: Database,
    partner: Partner,
    *,
    kind: str,
    label: str,
    granted: frozenset[str],
    expires_at: datetime | None,
) -> IssuedCredential:
    """Issues a credential with a random key and secret. Raises InvalidParameter (unknown scope)."""
    if unknown := granted - set(scopes.SUPPORTED):
        raise InvalidParameter(
            f"Unknown scope {', '.join(sorted(unknown))}; "
            f"the scopes are {', '.join(scopes.SUPPORTED)}."
        )
    issued = IssuedCredential(credential_secrets.new_key(), credential_secrets.new_secret(), kind)
    await registry.add_credential(
        database,
        partner.partner_id,
        key=issued.key,
        kind=kind,
        label=label,
        scopes=granted,
        secret_hash=credential_secrets.hash_secret(issued.secret),
        expires_at=expires_at,
    )
    return issued


async def rotate_credential(
    database: Database, key: str, overlap_until: datetime
) -> IssuedCredential:
    """Issues a new secret; the previous one stays valid until `overlap_until`. Raises NotFound."""
    credential = await registry.find_credential(database, key)
    issued = IssuedCredential(
        key, credential_secrets.new_secret(), credential.kind if credential else "client"
    )
    await registry.rotate_credential(
        database, key, credential_secrets.hash_secret(issued.secret), overlap_until
    )
    return issued
