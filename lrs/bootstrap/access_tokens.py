"""The keys of access tokens: those of this server, and those of an external issuer."""

from __future__ import annotations

import httpx

from lrs.auth.jwks import JWKS_ERRORS, ExternalIssuer, fetch_jwks
from lrs.auth.signing_keys import SigningKeys
from lrs.auth.tokens import AccessTokens
from lrs.bootstrap.secret_key import open_secret_box
from lrs.settings import Settings, SettingsError
from lrs.store.postgres import Database


async def load_keys(settings: Settings, database: Database) -> AccessTokens:
    """The keys that sign access tokens; the first one is created. Raises WrongSecretKey."""
    external_issuer = None
    if settings.oauth_issuer:
        audience = settings.oauth_audience or settings.base_url
        external_issuer = ExternalIssuer(
            settings.oauth_issuer, settings.oauth_jwks, audience, settings.oauth_client_claim
        )
    signing_keys = SigningKeys(database, open_secret_box(settings))
    await signing_keys.load()
    return AccessTokens(
        signing_keys,
        issuer=settings.base_url,
        ttl_seconds=settings.access_token_ttl_seconds,
        external_issuer=external_issuer,
    )


async def count_external_keys(settings: Settings) -> int:
    """The number of keys in the JWK Set of the external issuer. Raises SettingsError."""
    try:
        return len((await fetch_jwks(settings.oauth_jwks)).keys)
    except (httpx.HTTPError, OSError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
    except JWKS_ERRORS:
        reason = "not a JWK Set with keys"
    raise SettingsError(f"LRS_OAUTH_JWKS: the keys cannot be read: {reason}.")
