"""Rendering of console pages: templates, headers, redirects, errors.

Most pages are a template over their JSON counterpart: the handler of the same path under
`/v1/admin`, which authenticates, parses the query and calls the use case. So a page shows what it
returns.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import orjson
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from lrs import __version__
from lrs.api import request_parsing, urls
from lrs.api.admin import access
from lrs.auth.operators import Operator
from lrs.console import formats
from lrs.errors import InvalidParameter, LRSError, Unauthorized, Unavailable
from lrs.store.postgres import Database

Handler = Callable[[Request], Awaitable[Response]]
Form = dict[str, str]

MAX_FORM_BYTES = 1_048_576

_environment = Environment(
    loader=PackageLoader("lrs.console"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters.update(formats.FILTERS)
_environment.globals.update(formats.GLOBALS)

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


def page(request: Request, template: str, status: int = 200, **values: Any) -> Response:
    """The rendered template.

    `base` in it is the prefix of all links (`urls.base_path`), `twin` the path of the same data as
    JSON, with `twin_url` as the whole URL; None for pages without one.
    """
    operator: Operator | None = request.scope.get("operator")
    base = urls.base_path(request.scope)
    twin = values.pop("twin", None)
    context = {
        "base": base,
        "version": __version__,
        "operator": operator,
        "partner": request.scope.get("path_params", {}).get("partner"),
        "path": request.scope["path"],
        "query": dict(_parameters(request)),
        "base_url": urls.base_url(request),
        "twin": None if twin is None else f"/v1/admin{twin}",
        "may_change": operator is not None and operator.may("operator"),
        "is_owner": operator is not None and operator.may("owner"),
    }
    text = _environment.get_template(template).render(**{**context, **values})
    return Response(text, status, headers=_HEADERS, media_type="text/html")


def redirect(request: Request, path: str) -> Response:
    """303 to another page of the console, such as `/console`."""
    base = urls.base_path(request.scope)
    return RedirectResponse(f"{base}{path}", status_code=303, headers=_HEADERS)


def errors_as_page(handler: Handler) -> Handler:
    """Renders the errors of a handler as a page."""

    @wraps(handler)
    async def handle(request: Request) -> Response:
        try:
            return await handler(request)
        except LRSError as error:
            is_slow = isinstance(error, Unavailable)
            response = page(request, "error.html", error.status, error=error, is_slow=is_slow)
            response.headers.update(
                {name: value for name, value in error.headers.items() if name == "Retry-After"}
            )
            return response

    return handle


def operator_of(request: Request) -> Operator:
    """The operator of a request that `for_operators` let through."""
    operator: Operator = request.scope["operator"]
    return operator


def database_of(request: Request) -> Database:
    """The connections for queries of operators."""
    return request_parsing.services(request).admin_database


def for_operators(handler: Handler) -> Handler:
    """Runs a handler for an operator; others go to the login. Empty filters leave the URL."""

    @wraps(handler)
    async def handle(request: Request) -> Response:
        try:
            await access.authenticate_operator(request, "console")
        except Unauthorized:
            if request.method != "GET":
                raise
            return redirect(request, f"/console/login{_return_query(request)}")
        parameters = request_parsing.query_parameters(request)
        if request.method == "GET" and not all(value for _, value in parameters):
            kept = urlencode([(name, value) for name, value in parameters if value])
            return redirect(request, f"{_path(request)}{'?' if kept else ''}{kept}")
        return await handler(request)

    return errors_as_page(handle)


def twin_page(handler: Handler, template: str, twin: str | None = None) -> Handler:
    """A page that shows what a handler of the JSON interface returns, by default at its path."""

    async def get(request: Request) -> Response:
        data = await read_twin(request, handler)
        return page(request, template, data=data, twin=twin_path(request, twin))

    return for_operators(get)


async def read_twin(
    request: Request, handler: Handler, query: Mapping[str, str] | None = None
) -> Any:
    """The content of a JSON response; `query` replaces the parameters of the request."""
    if query is not None:
        scope = {**request.scope, "query_string": urlencode(query).encode()}
        request = Request(scope, request.receive)
    response = await handler(request)
    if not response.headers["content-type"].startswith("application/json"):
        raise InvalidParameter("attachments: the console shows no content of attachments.")
    return orjson.loads(response.body)


def twin_path(request: Request, path: str | None = None) -> str:
    """The path and query of the twin below `/v1/admin`; a template names `{partner}`."""
    if path is None:
        path = _path(request).removeprefix("/console")
    else:
        names = request.path_params
        path = path.format(**{name: quote(value, safe="") for name, value in names.items()})
    query = request.scope["query_string"].decode("latin-1")
    return f"{path}?{query}" if query else path


async def read_form(request: Request, limit: int = MAX_FORM_BYTES) -> Form:
    """The form of a page of this server. Raises Forbidden, TooLarge, InvalidParameter."""
    access.require_same_origin(request)
    body = await request_parsing.read_body(request, limit)
    try:
        fields = parse_qsl(body.decode(), keep_blank_values=True, errors="strict")
    except ValueError:
        raise InvalidParameter("The form is not UTF-8.") from None
    form: Form = {}
    for name, value in fields:
        if "\0" in name + value:
            raise InvalidParameter(f"{name[:80]}: a NUL character cannot be stored.")
        form[name] = f"{form[name]} {value}" if name in form else value
    return form


def require_typed_name(form: Form, name: str) -> None:
    """Raises InvalidParameter unless the operator has typed the name of what is changed."""
    if form.get("typed", "").strip() != name:
        raise InvalidParameter(f"Type {name!r} to confirm: nothing was changed.")


def number_of(form: Form, name: str, default: int) -> int:
    """A whole number in a form. Raises InvalidParameter."""
    text = form.get(name, "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise InvalidParameter(f"{name}: expected a whole number, got {text[:80]!r}.")
    return int(text)


def path_of(*segments: str) -> str:
    """A path of the console with encoded segments."""
    return "/".join(("/console", *(quote(segment, safe="") for segment in segments)))


def return_path(text: str) -> str:
    """Where to go after the login: only to a page of the console."""
    is_own = text == "/console" or text.startswith(("/console/", "/console?"))
    return text if is_own and "\\" not in text and text.isprintable() else "/console"


@for_operators
async def get_help(request: Request) -> Response:
    return page(request, "help.html")


def _path(request: Request) -> str:
    return request_parsing.raw_path(request.scope)


def _return_query(request: Request) -> str:
    """The query of the login that leads back to the requested page."""
    query = request.scope["query_string"].decode("latin-1")
    target = f"{_path(request)}?{query}" if query else _path(request)
    return "" if target == "/console" else f"?{urlencode({'next': target})}"


def _parameters(request: Request) -> list[tuple[str, str]]:
    try:
        return request_parsing.query_parameters(request)
    except InvalidParameter:
        return []
