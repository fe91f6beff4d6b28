"""Login at an OpenID provider in a browser.

Between the two requests, state, nonce and code verifier are in an encrypted cookie.
"""

from __future__ import annotations

import time

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from lrs.api import urls
from lrs.api.admin import access
from lrs.api.request_parsing import services
from lrs.auth.oidc import OIDCClient
from lrs.auth.secret_box import WrongSecretKey
from lrs.console.pages import errors_as_page, redirect
from lrs.errors import NotFound, Unauthorized

_COOKIE = "lrs_oidc"
_SECONDS = 600


@errors_as_page
async def get_login(request: Request) -> Response:
    client = _client(request)
    access.require_secure_transport(request)
    request.scope["session"] = {}
    location = await client.authorization_url(request, _callback_url(request))
    response = RedirectResponse(location, 302, headers={"Cache-Control": "no-store"})
    content = msgspec.json.encode([time.time() + _SECONDS, request.session])
    access.set_cookie(
        request, response, _COOKIE, services(request).secret_box.encrypt(content), _SECONDS
    )
    return response


@errors_as_page
async def get_callback(request: Request) -> Response:
    client = _client(request)
    request.scope["session"] = _stored_session(request)
    email, role = await client.authenticate(request)
    operators = services(request).operators
    issued = await operators.log_in_external(email, role.role, role.partners, "console")
    response = redirect(request, "/console")
    access.delete_cookie(request, response, _COOKIE)
    access.set_session(request, response, issued.token)
    return response


def _stored_session(request: Request) -> dict[str, object]:
    """What the login has stored. Raises Unauthorized."""
    sent = access.cookie(request, _COOKIE)
    try:
        content = services(request).secret_box.decrypt(sent or "")
    except WrongSecretKey:
        raise Unauthorized("The login began in another browser, or too long ago.") from None
    expires_at, session = msgspec.json.decode(content, type=tuple[float, dict[str, object]])
    if expires_at < time.time():
        raise Unauthorized("The login took too long: try again.")
    return session


def _callback_url(request: Request) -> str:
    return f"{urls.base_url(request)}/console/oidc/callback"


def _client(request: Request) -> OIDCClient:
    client = services(request).oidc
    if client is None:
        raise NotFound("No identity provider is configured: see docs/operators.md.")
    return client
