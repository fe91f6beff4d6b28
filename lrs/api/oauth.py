"""OAuth 2.0: token endpoint (RFC 6749 4.4), key set (RFC 7517) and metadata (RFC 8414).

Authlib provides the errors and parses scopes. Its authorization server is not used: it queries
clients synchronously, accepts two methods of client authentication in one request, and responds
400 to an unknown client_id in the body.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote_plus

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import (
    InvalidClientError,
    InvalidRequestError,
    InvalidScopeError,
    UnauthorizedClientError,
    scope_to_list,
)
from starlette.requests import Request
from starlette.responses import Response

from lrs.api import access, request_parsing, urls
from lrs.api.request_record import record_of
from lrs.api.responses import json_response
from lrs.auth import credential_secrets, scopes, tried_key
from lrs.auth.authenticate import REALM, CredentialProof, parse_basic
from lrs.auth.signing_keys import CACHE_SECONDS
from lrs.errors import BadRequest, LRSError, MalformedJSON, PartnerDisabled, Unauthorized
from lrs.store.registry import Credential
from lrs.xapi import strict_json

_MAX_BODY_BYTES = 16_384


class _InvalidClient(InvalidClientError):  # type: ignore[misc]
    """invalid_client as 401, with the realm that RFC 7617 requires."""

    def get_headers(self) -> list[tuple[str, str]]:
        challenge = (
            f'Basic realm="{REALM}", error="{self.error}", error_description="{self.description}"'
        )
        return [*OAuth2Error.get_headers(self), ("WWW-Authenticate", challenge)]


async def post_token(request: Request) -> Response:
    """Issue an access token; errors as in RFC 6749 5.2."""
    try:
        return await _issue(request)
    except OAuth2Error as error:
        record = record_of(request.scope)
        record.error = record.error or _as_error(error)
        status, content, headers = error()
        return json_response(content, status, dict(headers))


async def _issue(request: Request) -> Response:
    form = _parse_form(request, await request_parsing.read_body(request, _MAX_BODY_BYTES))
    secret_hash, credential = await _authenticate_client(request, form)
    services = request_parsing.services(request)
    record_of(request.scope).identify(credential, credential.key)
    services.ledger.used(credential.partner_id, credential.key, access.client_address(request))
    await access.charge(request, services.authenticator.subjects(credential))
    _check_grant_type(form.get("grant_type"))
    granted = _grant_scopes(credential, form.get("scope"))
    services.pacing.seen(credential.partner_id)
    async with services.pacing.turn(credential.partner_id, min_seconds=0):
        token = services.tokens.issue(credential.key, granted, secret_hash)
    content = {
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": services.tokens.ttl_seconds,
        "scope": " ".join(sorted(granted)),
    }
    return json_response(content, headers={"Cache-Control": "no-store", "Pragma": "no-cache"})


def _as_error(error: OAuth2Error) -> LRSError:
    """An error of the token endpoint for log and ledger."""
    kind = Unauthorized if error.status_code == 401 else BadRequest
    return kind(error.description or error.error)


def _check_grant_type(grant_type: str | None) -> None:
    if not grant_type:
        raise InvalidRequestError("grant_type is missing; it must be client_credentials.")
    if grant_type != "client_credentials":
        raise OAuth2Error(
            f"grant_type must be client_credentials, not {_printable(grant_type)}.",
            error="unsupported_grant_type",
        )


def _parse_form(request: Request, body: bytes) -> dict[str, str]:
    """The parameters, from a form or, as Percipio's clients send them, from JSON."""
    media_type = request_parsing.media_type(request)
    try:
        if media_type == request_parsing.JSON:
            pairs = list(strict_json.loads(body).items())
        elif media_type == request_parsing.FORM:
            pairs = parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=bool(body))
        else:
            raise InvalidRequestError("The body must be a form or a JSON object.")
    except (MalformedJSON, ValueError, AttributeError):
        raise InvalidRequestError("The body is not a form or a JSON object.") from None
    form = {name: value for name, value in pairs if value not in ("", None)}
    if len({name for name, _ in pairs}) < len(pairs):
        raise InvalidRequestError("The body has a repeated parameter.")
    if not all(isinstance(value, str) for value in form.values()):
        raise InvalidRequestError("All parameters must be strings.")
    return form


async def _authenticate_client(request: Request, form: dict[str, str]) -> tuple[bytes, Credential]:
    """The client and the hash of its secret (RFC 6749 2.3.1).

    The methods are client_secret_basic and client_secret_post.
    """
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    proof: CredentialProof | None = None
    try:
        if scheme:
            if scheme.lower() != "basic" or "client_secret" in form:
                raise InvalidRequestError("Use one authentication method: Basic or the body.")
            proof = parse_basic(value.strip(), decode=unquote_plus)
            if form.get("client_id", proof.key) != proof.key:
                raise InvalidRequestError("client_id differs from the user name of Basic.")
            if not proof.key:
                raise Unauthorized("The Basic credentials have no user name, the client_id.")
        else:
            proof = _read_form_credentials(form)
        secret_hash = proof.secret_hash or b""
        authenticator = request_parsing.services(request).authenticator
        address = access.client_address(request)
        return secret_hash, await authenticator.authenticate_client(proof, address)
    except Unauthorized as error:
        record = record_of(request.scope)
        record.error, record.tried_key = error, tried_key.mask(proof.key) if proof else None
        raise _InvalidClient(error.detail, status_code=401) from None
    except PartnerDisabled as error:
        raise UnauthorizedClientError(_printable(error.detail)) from None


def _read_form_credentials(form: dict[str, str]) -> CredentialProof:
    """The credentials of client_secret_post. Raises Unauthorized if there are none."""
    missing = [name for name in ("client_id", "client_secret") if name not in form]
    if missing:
        raise Unauthorized(
            f"The request has no {' and no '.join(missing)}: send both in the body, or Basic "
            "credentials in the Authorization header."
        )
    secret_hash = credential_secrets.hash_secret(form["client_secret"])
    return CredentialProof(form["client_id"], "client", secret_hash)


def _grant_scopes(credential: Credential, requested: str | None) -> frozenset[str]:
    """The requested scopes, or all of the credential's if none are requested."""
    wanted = frozenset(scope_to_list(requested) or ()) - {scopes.ALL_GRANTED}
    if not wanted:
        return credential.scopes
    if refused := wanted - scopes.expand(credential.scopes):
        names = _printable(" ".join(sorted(refused)))
        raise InvalidScopeError(f"Scopes not granted to this client: {names}.")
    return wanted


def _printable(text: str) -> str:
    """The text with only the characters that error_description allows (RFC 6749 5.2)."""
    return "".join(c if " " <= c <= "~" and c not in '"\\' else "?" for c in text[:200])


async def get_keys(request: Request) -> Response:
    keys = request_parsing.services(request).tokens.signing_keys.public_keys()
    return json_response(keys, headers={"Cache-Control": f"public, max-age={CACHE_SECONDS}"})


async def get_metadata(request: Request) -> Response:
    issuer = request_parsing.services(request).tokens.issuer
    return json_response(metadata(issuer, urls.base_url(request)))


def metadata(issuer: str, base_url: str) -> dict[str, Any]:
    """The metadata; without `LRS_PUBLIC_URL`, the base URL is that of the request."""
    return {
        "issuer": issuer,
        "token_endpoint": f"{base_url}/oauth2/token",
        "jwks_uri": f"{base_url}/.well-known/jwks.json",
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "scopes_supported": [*scopes.SUPPORTED, scopes.ALL_GRANTED],
        "service_documentation": f"{base_url}/docs",
    }
