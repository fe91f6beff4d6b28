"""Claims of access tokens: verified signature, issuer, audience and times; client and scopes.

joserfc validates the signature and the registered claims (RFC 7519, section 4.1). Authlib's RFC
9068 validator would not do: it accepts a token without `typ` and requires claims that external
issuers omit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from joserfc import jws, jwt
from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.jwk import KeySet

from lrs.auth.scopes import ALL_GRANTED, SUPPORTED
from lrs.errors import TokenExpired, Unauthorized

ACCESS_TOKEN = "at+jwt"  # noqa: S105 - a media type
_ACCESS_TOKEN_TYPES = frozenset({ACCESS_TOKEN, "application/at+jwt"})
_JWT_TYPES = frozenset({"jwt", "application/jwt"})

# Claims of ID tokens and of logout tokens (OpenID Connect), which may have the type JWT too.
_OTHER_TOKENS_CLAIMS = ("at_hash", "c_hash", "s_hash", "events")
# The kind of a token at issuers that name it in a claim (Amazon Cognito, Keycloak).
_KIND_CLAIMS = {"token_use": ("access",), "typ": ("bearer", "jwt", ACCESS_TOKEN)}

# How far the clock of an issuer, or of another server, may be ahead in `nbf` and `iat`.
_CLOCK_SKEW_SECONDS = 60

_CLIENT_CLAIMS = ("client_id", "azp", "sub")
_SCOPES = frozenset({*SUPPORTED, ALL_GRANTED})

INVALID_TOKEN = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
EXPIRED_TOKEN = {
    "WWW-Authenticate": 'Bearer error="invalid_token", error_description="The token expired"'
}


def read_unverified(token: str) -> tuple[dict[str, Any], object]:
    """The header and the issuer of a token, to select the keys. Raises Unauthorized."""
    try:
        unverified = jws.extract_compact(token.encode())
        return unverified.headers(), orjson.loads(unverified.payload).get("iss")
    except (JoseError, ValueError, AttributeError, RecursionError):
        raise unauthorized("The access token is malformed.") from None


def require_type(header: Mapping[str, Any], *, is_own: bool) -> None:
    """Checks `typ` (RFC 9068, section 2.1). Raises Unauthorized.

    Tokens of this server have `at+jwt`. Many issuers send `JWT` or no type, but a token with
    another type, such as `logout+jwt`, is not an access token.
    """
    if not is_own and "typ" not in header:
        return
    token_type = str(header.get("typ")).lower()
    if token_type not in _ACCESS_TOKEN_TYPES and (is_own or token_type not in _JWT_TYPES):
        raise unauthorized("The type of the token (typ) is not that of an access token.")


def verify(
    token: str, keys: KeySet, algorithms: list[str], *, issuer: str, audience: str
) -> dict[str, Any]:
    """The claims of a token with a valid signature, issuer, audience, `exp`, `nbf` and `iat`.

    Raises Unauthorized and TokenExpired.
    """
    claims_registry = jwt.JWTClaimsRegistry(
        leeway=_CLOCK_SKEW_SECONDS,
        iss={"essential": True, "value": issuer},
        aud={"essential": True, "value": audience},
        exp={"essential": True},
    )
    try:
        claims = jwt.decode(token, keys, algorithms).claims
        claims_registry.validate(claims)
        jwt.JWTClaimsRegistry().validate({"exp": claims["exp"]})  # without leeway
        float(claims["exp"])  # an integer may exceed the range of a float
    except ExpiredTokenError:
        raise TokenExpired("The access token has expired.", headers=EXPIRED_TOKEN) from None
    except (JoseError, ValueError, TypeError, OverflowError, RecursionError):
        raise unauthorized("The access token is not valid.") from None
    return claims


def require_access_token(claims: Mapping[str, Any]) -> None:
    """Raises Unauthorized for ID, refresh and logout tokens of the same issuer."""
    is_other = any(name in claims for name in _OTHER_TOKENS_CLAIMS) or any(
        name in claims and str(claims[name]).lower() not in kinds
        for name, kinds in _KIND_CLAIMS.items()
    )
    if is_other:
        raise unauthorized("The claims are not those of an access token.")


def client(claims: Mapping[str, Any], name: str) -> str:
    """The client in the claim `name`; without a name, in `client_id`, else `azp`, else `sub`.

    Raises Unauthorized.
    """
    names = (name,) if name else _CLIENT_CLAIMS
    key = next((claims[candidate] for candidate in names if candidate in claims), None)
    if not isinstance(key, str) or not key:
        raise unauthorized(f"The access token has no client: expected {' or '.join(names)}.")
    return key


def scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    """The scopes in `scope` (RFC 9068, section 2.2.3), else in `scp`: a string or an array.

    A claim with another value grants nothing, and neither does a token without these claims.
    Scopes that the server does not know are left out.
    """
    value = claims["scope"] if "scope" in claims else claims.get("scp")
    if isinstance(value, str):
        return _SCOPES.intersection(value.split())
    if isinstance(value, list) and all(isinstance(scope, str) for scope in value):
        return _SCOPES.intersection(value)
    return frozenset()


def unauthorized(detail: str) -> Unauthorized:
    return Unauthorized(detail, headers=INVALID_TOKEN)
