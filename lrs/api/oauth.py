"""OAuth2 client credentials: token endpoint (RFC 6749 4.4), key set, metadata (RFC 8414)."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote_plus

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import (
    InvalidClientError,
    InvalidRequestError,
    InvalidScopeError,
    scope_to_list,
)
from starlette.requests import Request
from starlette.responses import Response

from lrs.api import request_parsing
from lrs.api.responses import json_response
from lrs.auth import scopes, secrets
from lrs.auth.authenticate import CredentialProof, parse_basic
from lrs.errors import MalformedJSON, Unauthorized
from lrs.store.registry import Credential
from lrs.xapi import strict_json

_BODY_BYTES = 16_384


async def post_token(request: Request) -> Response:
    try:
        return await _issue(request)
    except OAuth2Error as error:
        status, content, headers = error()
        return json_response(content, status, dict(headers))


async def _issue(request: Request) -> Response:
    here = request_parsing.services(request)
    form = _form(request, await request_parsing.body(request, _BODY_BYTES))
    credential = await _client(request, form)
    here.rate_limit.check(credential.key)
    grant = form.get("grant_type")
    if not grant:
        raise InvalidRequestError("grant_type is missing; it must be client_credentials.")
    if grant != "client_credentials":
        raise OAuth2Error(
            f"grant_type must be client_credentials, found {_plain(grant)}.",
            error="unsupported_grant_type",
        )
    granted = _scopes(credential, form.get("scope"))
    content = {
        "access_token": here.tokens.issue(credential.key, granted),
        "token_type": "Bearer",
        "expires_in": here.tokens.ttl_seconds,
        "scope": " ".join(sorted(granted)),
    }
    return json_response(content, headers={"Cache-Control": "no-store", "Pragma": "no-cache"})


def _form(request: Request, body: bytes) -> dict[str, str]:
    """The parameters, from a form or (as Percipio's clients send them) from JSON."""
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
        raise InvalidRequestError("A parameter stands twice in the body.")
    if not all(isinstance(value, str) for value in form.values()):
        raise InvalidRequestError("Every parameter must be a string.")
    return form


async def _client(request: Request, form: dict[str, str]) -> Credential:
    """The client, authenticated by client_secret_basic or client_secret_post."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    try:
        if scheme:
            if scheme.lower() != "basic" or "client_secret" in form:
                raise InvalidRequestError("Authenticate once: by Basic or in the body.")
            proof = parse_basic(value.strip(), decode=unquote_plus)
            if form.get("client_id", proof.key) != proof.key:
                raise InvalidRequestError("The client_id is not the one of the Basic credentials.")
        else:
            key, secret = form.get("client_id", ""), form.get("client_secret", "")
            proof = CredentialProof(key, "client", secrets.hash_secret(secret))
        return await request_parsing.services(request).authenticator.verify(proof)
    except Unauthorized as error:
        raise InvalidClientError(error.detail, status_code=401) from None


def _scopes(credential: Credential, asked: str | None) -> frozenset[str]:
    wanted = frozenset(scope_to_list(asked) or ()) - {scopes.ALL_GRANTED}
    if not wanted:
        return credential.scopes
    if refused := wanted - scopes.expand(credential.scopes):
        raise InvalidScopeError(f"Not granted to this client: {_plain(' '.join(sorted(refused)))}.")
    return wanted


def _plain(text: str) -> str:
    """The text in the characters that an error_description may have (RFC 6749 5.2)."""
    return "".join(c if " " <= c <= "~" and c not in '"\\' else "?" for c in text[:200])


async def get_keys(request: Request) -> Response:
    keys = request_parsing.services(request).tokens.public_keys()
    return json_response(keys, headers={"Cache-Control": "public, max-age=300"})


async def get_metadata(request: Request) -> Response:
    return json_response(metadata(request_parsing.services(request).tokens.issuer))


def metadata(issuer: str) -> dict[str, Any]:
    return {
        "issuer": issuer,
        "token_endpoint": f"{issuer}/oauth2/token",
        "jwks_uri": f"{issuer}/.well-known/jwks.json",
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "scopes_supported": [*scopes.SUPPORTED, scopes.ALL_GRANTED],
        "service_documentation": f"{issuer}/docs",
    }
