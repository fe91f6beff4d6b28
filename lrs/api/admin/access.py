"""Authentication of operators: a session cookie of a browser, or the Bearer token of a script.

The cookie is `__Host-lrs_session`. On loopback over http, where browsers do not keep a `Secure`
cookie for every host, it is `lrs_session`. A request that changes something and is authenticated by
the cookie must come from a page of this server (`Sec-Fetch-Site`, else `Origin`).
"""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from lrs.api.access import BASIC_OR_BEARER, client_address
from lrs.api.admission import admission
from lrs.api.request_parsing import header, services
from lrs.auth.authenticate import Caller
from lrs.auth.operators import SESSION_SECONDS, TOKEN_PREFIX, Operator, Via
from lrs.errors import Forbidden, Unauthorized
from lrs.observability.server_timing import stage
from lrs.settings.server import is_loopback
from lrs.store.registry import Partner

OPERATOR = "operator"
"""The key in a scope of the authenticated operator."""

_NAME = "lrs_session"
_SAFE_METHODS = frozenset({"GET", "HEAD"})
_ACCOUNT = "(operators)"
"""The name of operators in load shedding, which no partner can have."""


async def authenticate_operator(request: Request, via: Via = "api") -> Operator:
    """The operator of a session or token.

    The second call for a request returns the first one's operator: pages of the console call
    handlers of this interface. Raises Unauthorized, and Forbidden for a foreign page or the
    credentials of a partner.
    """
    authenticated: Operator | None = request.scope.get(OPERATOR)
    if authenticated is not None:
        return authenticated
    with stage("auth"):
        operator = request.scope[OPERATOR] = await _authenticate(request, via)
    admission(request.scope).identify(f"operator {operator.email}", _ACCOUNT)
    return operator


async def _authenticate(request: Request, via: Via) -> Operator:
    operators = services(request).operators
    authorization = header(request.scope, b"authorization") or ""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() == "bearer" and token.strip().startswith(TOKEN_PREFIX):
        return await operators.authenticate_token(token.strip(), client_address(request))
    if authorization:
        raise await _no_operator(request, authorization)
    session = session_token(request)
    if session is None:
        raise Unauthorized(
            "The request has neither the token of an operator nor a session.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    if request.method not in _SAFE_METHODS:
        require_same_origin(request)
    return await operators.authenticate_session(session, via)


async def _no_operator(request: Request, authorization: str) -> Forbidden | Unauthorized:
    """The error for other credentials: 403 for those of a partner, 401 for invalid ones."""
    address = client_address(request)
    try:
        await services(request).authenticator.authenticate(authorization, BASIC_OR_BEARER, address)
    except Unauthorized:
        return Unauthorized(
            "The credentials are not those of an operator: see `lrs operator token`.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return Forbidden("A credential of a partner is never an operator, whatever its scopes.")


def operator_caller(
    operator: Operator, partner: Partner, *granted: str, authority_key: int = 0
) -> Caller:
    """An operator as a caller of the partner's interface with some scopes, for what they share."""
    return Caller(
        f"operator {operator.email}",
        partner.partner_id,
        partner.name,
        partner.home_page,
        frozenset(granted),
        "",
        authority_key,
        (),
        partner.settings,
    )


def require_same_origin(request: Request) -> None:
    """Raises Forbidden if a browser sends the request from a page of another origin."""
    site = header(request.scope, b"sec-fetch-site")
    origin = header(request.scope, b"origin")
    if site is not None:
        is_own = site.lower() in ("same-origin", "none")
    elif origin is not None:
        is_own = _host_of(origin) in _own_hosts(request)
    else:
        return  # not a browser: a page cannot leave out both
    if not is_own:
        raise Forbidden("The request comes from a page of another origin.")


def session_token(request: Request) -> str | None:
    """The token in the session cookie."""
    return cookie(request, _NAME)


def set_session(request: Request, response: Response, token: str) -> None:
    """Sets the session cookie. Raises Forbidden over http, unless on loopback."""
    require_secure_transport(request)
    set_cookie(request, response, _NAME, token, SESSION_SECONDS)
    response.headers["Cache-Control"] = "no-store"


def delete_session(request: Request, response: Response) -> None:
    """Removes the session cookie."""
    delete_cookie(request, response, _NAME)


def cookie(request: Request, name: str) -> str | None:
    """The value of a cookie that `set_cookie` has set."""
    full_name = _cookie_name(request, name)
    for value in request.headers.getlist("cookie"):
        try:
            if morsel := SimpleCookie(value).get(full_name):
                return morsel.value
        except CookieError:
            continue
    return None


def set_cookie(request: Request, response: Response, name: str, value: str, seconds: int) -> None:
    """Sets a cookie of this host only, which scripts cannot read."""
    response.set_cookie(
        _cookie_name(request, name),
        value,
        max_age=seconds,
        path="/",
        secure=not _is_plain(request),
        httponly=True,
        samesite="lax",
    )


def delete_cookie(request: Request, response: Response, name: str) -> None:
    response.delete_cookie(
        _cookie_name(request, name),
        path="/",
        secure=not _is_plain(request),
        httponly=True,
        samesite="lax",
    )


def require_secure_transport(request: Request) -> None:
    """Raises Forbidden for a password or session over http, unless on loopback."""
    public_url = services(request).settings.public_url
    if public_url.startswith("https://") or request.url.scheme == "https" or _is_plain(request):
        return
    raise Forbidden(
        "Operators log in over https, or on the machine of the server itself: set LRS_PUBLIC_URL "
        "to the https URL of the reverse proxy."
    )


def _cookie_name(request: Request, name: str) -> str:
    return name if _is_plain(request) else f"__Host-{name}"


def _is_plain(request: Request) -> bool:
    """Whether the browser uses http on loopback. The public URL decides if there is one."""
    public_url = services(request).settings.public_url
    url = urlsplit(public_url) if public_url else request.url
    return url.scheme == "http" and is_loopback(url.hostname or "")


def _own_hosts(request: Request) -> set[str]:
    public_url = services(request).settings.public_url
    return {_host_of(public_url), _host_of(str(request.url))} - {""}


def _host_of(url: str) -> str:
    """Host and port, without the default port of the scheme; empty if there is none."""
    try:
        parts = urlsplit(url)
        port = {"http": 80, "https": 443}.get(parts.scheme) if not parts.port else parts.port
    except ValueError:
        return ""
    return f"{parts.hostname}:{port}" if parts.hostname else ""
