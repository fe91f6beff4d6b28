"""Secret keys and access tokens."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from lrs.settings.fields import HUNDRED_YEARS, subject


@subject
class AuthenticationSettings:
    """Secret keys and access tokens."""

    secret_key: Annotated[
        str,
        Meta(
            description=(
                "Key that encrypts signing keys and tool secrets in the database and signs "
                "callback URLs; at least 32 characters, the same on all servers of one database. "
                "Empty: generated and kept in the data directory."
            )
        ),
    ] = ""
    accepted_secret_key: Annotated[
        str,
        Meta(
            description=(
                "Second secret key, with which the database and callback URLs are read too, while "
                "the secret key is replaced. Empty: none."
            )
        ),
    ] = ""
    access_token_ttl_seconds: Annotated[
        int, Meta(ge=1, le=HUNDRED_YEARS, description="Lifetime of an access token.")
    ] = 3600
    credential_cache_ttl_seconds: Annotated[
        float,
        Meta(
            ge=0,
            description=(
                "Lifetime of a cached credential; a revocation takes effect on every server within "
                "this time."
            ),
        ),
    ] = 1.0
    oauth_issuer: Annotated[
        str, Meta(description="Issuer of external access tokens that are accepted as well.")
    ] = ""
    oauth_jwks: Annotated[
        str,
        Meta(
            description=(
                "JWK Set of the external issuer, as a URL or a file path; cached for five minutes."
            )
        ),
    ] = ""
    oauth_audience: Annotated[
        str,
        Meta(description="Required audience of external access tokens. Empty: the public URL."),
    ] = ""
    oauth_client_claim: Annotated[
        str,
        Meta(
            description=(
                "Claim of external access tokens that holds the key of a credential. Empty: "
                "`client_id`, else `azp`, else `sub`."
            )
        ),
    ] = ""
