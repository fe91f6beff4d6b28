"""Login of operators at an OpenID provider: authorization code flow with PKCE, state and nonce.

Authlib's Starlette client builds the request and verifies the response. What it keeps between both
is a dict, which the caller stores for the browser.
"""

from __future__ import annotations

import warnings
from typing import Any

from lrs.auth import oidc_roles
from lrs.auth.oidc_roles import GrantedRole
from lrs.errors import Forbidden, Unauthorized, Unavailable
from lrs.settings import Settings

_TIMEOUT_SECONDS = 10.0
_LEEWAY_SECONDS = 60

# Neither "none" nor an algorithm with a shared secret.
_ALGORITHMS = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)


class OIDCClient:
    """The client of the configured provider; one instance per worker."""

    def __init__(self, settings: Settings) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Authlib announces another HTTP client
            from authlib.integrations.starlette_client import OAuth

        self._issuer = settings.oidc_issuer
        self._client_id = settings.oidc_client_id
        self._claim = settings.oidc_roles_claim
        self._grants = oidc_roles.parse_grants(settings.oidc_roles)
        metadata_url = f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"
        self._app = OAuth().register(
            "oidc",
            client_id=settings.oidc_client_id,
            client_secret=settings.oidc_client_secret,
            server_metadata_url=metadata_url,
            client_kwargs={
                "scope": "openid email profile",
                "code_challenge_method": "S256",
                "timeout": _TIMEOUT_SECONDS,
            },
        )

    async def authorization_url(self, request: Any, redirect_uri: str) -> str:
        """The URL to which the browser goes; `request.session` gets what the callback needs.

        Raises Unavailable.
        """
        try:
            await self._load_metadata()
            response = await self._app.authorize_redirect(request, redirect_uri)
        except Exception as error:
            raise _unavailable(error) from error
        return str(response.headers["location"])

    async def authenticate(self, request: Any) -> tuple[str, GrantedRole]:
        """The email and role of the operator whom the provider has authenticated.

        `request.session` has what `authorization_url` has stored. Raises Unauthorized, Forbidden
        (no role), Unavailable.
        """
        claims = await self._claims(request)
        email = claims.get("email")
        if not isinstance(email, str) or claims.get("email_verified") is False:
            raise Forbidden("The identity provider names no verified email.")
        values = oidc_roles.claim_values(claims, self._claim)
        role = oidc_roles.granted_role(self._grants, values)
        if role is None:
            raise Forbidden(f"No role is configured for the claim {self._claim} of {email}.")
        return email, role

    async def _claims(self, request: Any) -> dict[str, Any]:
        from authlib.common.errors import AuthlibBaseError
        from joserfc.errors import JoseError

        options = {
            "iss": {"essential": True, "value": self._issuer},
            "aud": {"essential": True, "value": self._client_id},
            "exp": {"essential": True},
            "nonce": {"essential": True},
        }
        try:
            metadata = await self._load_metadata()
            token = await self._app.authorize_access_token(
                request, claims_options=options, leeway=_LEEWAY_SECONDS
            )
            claims = dict(token.get("userinfo") or {})
            is_role_missing = self._claim.partition(".")[0] not in claims
            if claims and is_role_missing and "userinfo_endpoint" in metadata:
                claims = {**await self._app.userinfo(token=token), **claims}
        except (AuthlibBaseError, JoseError, ValueError) as error:
            raise Unauthorized("The login at the identity provider failed: try again.") from error
        except Exception as error:
            raise _unavailable(error) from error
        if not claims:
            raise Unauthorized("The identity provider has sent no ID token.")
        return claims

    async def _load_metadata(self) -> dict[str, Any]:
        metadata: dict[str, Any] = await self._app.load_server_metadata()
        offered = metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
        metadata["id_token_signing_alg_values_supported"] = [
            name for name in offered if name in _ALGORITHMS
        ]
        return metadata


def open_oidc_client(settings: Settings) -> OIDCClient | None:
    """The client, if a provider is configured."""
    return OIDCClient(settings) if settings.oidc_issuer else None


def _unavailable(error: Exception) -> Unavailable:
    return Unavailable(f"The identity provider does not answer ({type(error).__name__}).")
