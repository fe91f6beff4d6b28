"""Rendering of console pages: templates, headers, redirects, errors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from lrs import __version__
from lrs.api import urls
from lrs.errors import LRSError

Handler = Callable[[Request], Awaitable[Response]]

_environment = Environment(
    loader=PackageLoader("lrs.console"), autoescape=True, undefined=StrictUndefined
)

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
    """The rendered template. `base` in it is the prefix of all links: see `urls.base_path`."""
    base = urls.base_path(request.scope)
    text = _environment.get_template(template).render(base=base, version=__version__, **values)
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
            response = page(request, "error.html", error.status, error=error)
            response.headers.update(
                {name: value for name, value in error.headers.items() if name == "Retry-After"}
            )
            return response

    return handle
