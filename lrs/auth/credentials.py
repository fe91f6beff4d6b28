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

# No colon, which ends the key in Basic credentials, no slash, which is in the authorities of tools,
# and no character that form encoding (RFC 6749, section 2.3.1) changes but "@" and "~".
_KEY = re.compile("[A-Za-z0-9][A-Za-z0-9._~@-]{0,127}")
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
    return await registry.add_partner(database, name, title, valid_home_page(home_page))


def valid_home_page(home_page: str) -> str:
    """The home page without a slash at its end. Raises InvalidParameter."""
    home_page = home_page.rstrip("/")
    if not (_HOME_PAGE.fullmatch(home_page) and is_iri(home_page)):
        raise InvalidParameter(
            f"{home_page[:80]!r} is not a valid home page: use an absolute URL such as "
            "https://partner.example."
        )
    return home_page


def valid_scopes(granted: frozenset[str]) -> frozenset[str]:
    """The scopes, if each is supported. Raises InvalidParameter."""
    if unknown := granted - set(scopes.SUPPORTED):
        raise InvalidParameter(
            f"Unknown scope {', '.join(sorted(unknown))[:200]}; "
            f"the scopes are {', '.join(scopes.SUPPORTED)}."
        )
    return granted


async def add_credential(
    database: Database,
    partner: Partner,
    *,
    kind: str,
    label: str,
    granted: frozenset[str],
    expires_at: datetime | None,
    key: str | None = None,
) -> IssuedCredential:
    """Issues a credential with a random secret; without a key, that is random too.

    Raises InvalidParameter (unknown scope, malformed key) and Conflict (a credential of any partner
    has the key).
    """
    valid_scopes(granted)
    key = credential_secrets.new_key() if key is None else _valid_key(key, kind)
    issued = IssuedCredential(key, credential_secrets.new_secret(), kind)
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


def _valid_key(key: str, kind: str) -> str:
    """The key that an operator has chosen. Raises InvalidParameter."""
    if not _KEY.fullmatch(key):
        raise InvalidParameter(
            f"{key[:80]!r} is not a valid key: use 1 to 128 letters (A-Z, a-z), digits, dots, "
            "hyphens, underscores, tildes and @, starting with a letter or digit."
        )
    if kind == "bearer" and credential_secrets.SEPARATOR in key:
        raise InvalidParameter("The key of a bearer credential must not contain a dot.")
    return key


async def rotate_credential(
    database: Database, key: str, overlap_until: datetime | None
) -> IssuedCredential:
    """Issues a new secret. The previous one, and the access tokens that were issued with it, stay
    valid until `overlap_until`; None: they end now. Raises NotFound.
    """
    credential = await registry.find_credential(database, key)
    issued = IssuedCredential(
        key, credential_secrets.new_secret(), credential.kind if credential else "client"
    )
    await registry.rotate_credential(
        database, key, credential_secrets.hash_secret(issued.secret), overlap_until
    )
    return issued
