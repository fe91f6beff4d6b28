"""The URL of this server, as clients see it."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.requests import Request
from starlette.types import Scope

from lrs.api import request_parsing
from lrs.api.services import Services


def base_path(scope: Scope) -> str:
    """The prefix of all paths that clients see; often empty.

    A trusted proxy sends it (`X-Forwarded-Prefix`), or it is the path of `LRS_PUBLIC_URL`.
    """
    services: Services | None = scope.get("services")
    return scope.get("root_path") or (services.settings.base_path if services else "")


def base_url(request: Request) -> str:
    """Scheme, host and base path: the setting `LRS_PUBLIC_URL`, or those of the request.

    A trusted proxy's forwarded scheme, host and prefix are already in the request.
    """
    settings = request_parsing.services(request).settings
    host = request.headers.get("host")
    if settings.public_url or not host:
        return settings.base_url
    return f"{request.scope['scheme']}://{host}{base_path(request.scope)}"


def next_page(request: Request, cursor: str) -> str:
    """The relative URL of the page at the cursor, with the other parameters of the request."""
    parameters = [
        (name, value)
        for name, value in request_parsing.query_parameters(request)
        if name != "cursor"
    ]
    query = urlencode([*parameters, ("cursor", cursor)])
    return f"{base_path(request.scope)}{request_parsing.raw_path(request.scope)}?{query}"
