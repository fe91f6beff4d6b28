"""Pages of operators: accounts, one-time links, tokens and sessions."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from lrs.admin import operators, sessions
from lrs.api import urls
from lrs.api.admin import operators as admin_operators
from lrs.auth.operators import LINK_SECONDS, ROLES
from lrs.console.pages import (
    Form,
    database_of,
    for_operators,
    number_of,
    operator_of,
    page,
    path_of,
    read_form,
    read_twin,
    redirect,
    require_typed_name,
    twin_path,
)
from lrs.errors import NotFound

_KINDS = ("session", "token", "link")


@for_operators
async def get_operators(request: Request) -> Response:
    data = await read_twin(request, admin_operators.get_operators)
    return page(request, "operators.html", data=data, roles=ROLES, twin=twin_path(request))


@for_operators
async def post_operators(request: Request) -> Response:
    """Adds an operator, and shows the one-time link."""
    form = await read_form(request)
    link = await operators.add_operator(
        database_of(request),
        operator_of(request),
        form.get("email", ""),
        form.get("role", ""),
        _partners(form),
    )
    return _link_page(request, link)


@for_operators
async def get_operator(request: Request) -> Response:
    data = await read_twin(request, admin_operators.get_operator)
    sessions = await read_twin(request, admin_operators.get_sessions)
    return page(
        request,
        "operator.html",
        data=data,
        sessions=sessions["sessions"],
        roles=ROLES,
        twin=twin_path(request),
    )


@for_operators
async def post_operator(request: Request) -> Response:
    """Changes the role and the partners."""
    form = await read_form(request)
    changes = {"role": form.get("role", ""), "partners": _partners(form)}
    await operators.set_operator(
        database_of(request), operator_of(request), _email(request), changes
    )
    return redirect(request, path_of("operators", _email(request)))


@for_operators
async def post_link(request: Request) -> Response:
    await read_form(request)
    link = await sessions.issue_link(database_of(request), operator_of(request), _email(request))
    return _link_page(request, link)


@for_operators
async def post_token(request: Request) -> Response:
    form = await read_form(request)
    issued = await sessions.issue_token(
        database_of(request),
        operator_of(request),
        _email(request),
        days=number_of(form, "expires_in_days", 90),
        label=form.get("label", ""),
    )
    return page(request, "operator_token.html", issued=issued)


@for_operators
async def get_session_revocation(request: Request) -> Response:
    """What ends with one link, session or token."""
    data = await read_twin(request, admin_operators.get_sessions)
    session_id = request.path_params["session"]
    matching = [item for item in data["sessions"] if item["session_id"] == session_id]
    if not matching:
        raise NotFound(f"{_email(request)} has no session, link or token {session_id[:80]!r}.")
    return page(request, "session_revoke.html", item=matching[0], email=_email(request))


@for_operators
async def post_session_revocation(request: Request) -> Response:
    form = await read_form(request)
    session_id = request.path_params["session"]
    require_typed_name(form, session_id)
    await sessions.end_session(
        database_of(request), operator_of(request), _email(request), session_id
    )
    return redirect(request, path_of("operators", _email(request)))


@for_operators
async def get_revocation(request: Request) -> Response:
    """What ends when an operator is disabled, or all sessions are revoked."""
    data = await read_twin(request, admin_operators.get_operator)
    sessions = (await read_twin(request, admin_operators.get_sessions))["sessions"]
    counts = {kind: sum(item["kind"] == kind for item in sessions) for kind in _KINDS}
    return page(
        request, "operator_revoke.html", data=data, counts=counts, disables=_disables(request)
    )


@for_operators
async def post_revocation(request: Request) -> Response:
    form = await read_form(request)
    email = _email(request)
    require_typed_name(form, email)
    if _disables(request):
        await operators.set_disabled(
            database_of(request), operator_of(request), email, disabled=True
        )
    else:
        await sessions.end_sessions(database_of(request), operator_of(request), email)
    return redirect(request, path_of("operators", email))


@for_operators
async def post_enable(request: Request) -> Response:
    await read_form(request)
    email = _email(request)
    await operators.set_disabled(database_of(request), operator_of(request), email, disabled=False)
    return redirect(request, path_of("operators", email))


def _disables(request: Request) -> bool:
    return str(request.scope["path"]).endswith("/disable")


def _link_page(request: Request, link: sessions.IssuedLink) -> Response:
    url = link.url(urls.base_url(request))
    minutes = LINK_SECONDS // 60
    return page(request, "operator_link.html", email=link.email, url=url, minutes=minutes)


def _partners(form: Form) -> list[str] | None:
    """The names in the form, which are separated by blanks or commas; None: all partners."""
    if form.get("sees", "all") == "all":
        return None
    return form.get("partners", "").replace(",", " ").split()


def _email(request: Request) -> str:
    email: str = request.path_params["email"]
    return email
