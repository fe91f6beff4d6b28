"""Login, one-time links and logout in a browser."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from lrs.api.access import client_address
from lrs.api.admin import access
from lrs.api.request_parsing import services
from lrs.auth.operators import IssuedSession
from lrs.console.pages import Form, errors_as_page, page, read_form, redirect, return_path
from lrs.errors import InvalidParameter, LRSError, Unauthorized
from lrs.store import operators as stored_operators

_MAX_BODY_BYTES = 16_384


@errors_as_page
async def get_start(request: Request) -> Response:
    """The page at `/`: links to the console and to the API reference."""
    return page(request, "start.html")


@errors_as_page
async def get_login(request: Request) -> Response:
    has_operators = await stored_operators.exist(services(request).admin_database)
    target = return_path(request.query_params.get("next", ""))
    return _login_page(request, has_operators=has_operators, target=target)


@errors_as_page
async def post_login(request: Request) -> Response:
    form = await _read_form(request)
    email, target = form.get("email", ""), return_path(form.get("next", ""))
    try:
        issued = await services(request).operators.log_in(
            email, form.get("password", ""), client_address(request), "console"
        )
    except LRSError as error:
        return _login_page(request, error=error, email=email, target=target)
    return _started(request, issued, target)


def _login_page(
    request: Request,
    *,
    has_operators: bool = True,
    error: LRSError | None = None,
    email: str = "",
    target: str = "/console",
) -> Response:
    return page(
        request,
        "login.html",
        error.status if error else 200,
        has_operators=has_operators,
        has_provider=services(request).oidc is not None,
        error=error,
        email=email,
        target=target,
    )


@errors_as_page
async def get_link(request: Request) -> Response:
    token = request.query_params.get("token", "")
    email = await services(request).operators.check_link(token, client_address(request))
    return page(request, "link.html", token=token, email=email, error=None)


@errors_as_page
async def post_link(request: Request) -> Response:
    form = await _read_form(request)
    token, password = form.get("token", ""), form.get("password", "")
    operators, address = services(request).operators, client_address(request)
    try:
        if password != form.get("repeated", ""):
            raise InvalidParameter("The two passwords differ.")
        issued = await operators.redeem_link(token, password, address, "console")
    except InvalidParameter as error:
        email = await operators.check_link(token, address)
        return page(request, "link.html", error.status, token=token, email=email, error=error)
    return _started(request, issued)


@errors_as_page
async def post_logout(request: Request) -> Response:
    response = redirect(request, "/console/login")
    token = access.session_token(request)
    try:
        operator = await access.authenticate_operator(request, "console")
    except Unauthorized:
        return response
    if token:
        await services(request).operators.log_out(token, operator)
    access.delete_session(request, response)
    return response


async def _read_form(request: Request) -> Form:
    """A form with a password. Raises Forbidden, TooLarge, InvalidParameter."""
    access.require_secure_transport(request)
    return await read_form(request, _MAX_BODY_BYTES)


def _started(request: Request, issued: IssuedSession, target: str = "/console") -> Response:
    response = redirect(request, target)
    access.set_session(request, response, issued.token)
    return response
