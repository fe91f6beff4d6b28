"""The URL of this server, as clients see it."""

from __future__ import annotations

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
