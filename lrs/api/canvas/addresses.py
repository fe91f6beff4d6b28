"""URLs as the world sees them, and path segments that may hold anything."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, unquote

from starlette.requests import Request
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

from lrs.api import reading
from lrs.api.routing import Handler, resource


def base_url(request: Request) -> str:
    """Where this server is: as the settings say, or else as the request was sent to it.

    Scheme and host are those that a trusted proxy forwards, if there are such.
    """
    settings = reading.services(request).settings
    host = request.headers.get("host")
    if settings.public_url or not host:
        return settings.base_url
    return f"{request.scope['scheme']}://{host}"


def path(request: Request) -> str:
    """The path as it was sent, with its escapes."""
    return _raw_path(request.scope)


def url(request: Request) -> str:
    """The URL that the request was sent to."""
    query = request.scope["query_string"].decode("latin-1")
    return base_url(request) + path(request) + (f"?{query}" if query else "")


def segmented(path: str, **handlers: Handler) -> BaseRoute:
    """A resource whose path is cut before it is decoded: an id may hold an escaped slash (%2F)."""
    plain = resource(path, **handlers)
    return _Segmented(path, plain.endpoint, methods=list(plain.methods or ()))


class _Segmented(Route):
    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, found = super().matches({**scope, "path": _raw_path(scope)})
        for name, value in _parameters(found).items():
            found["path_params"][name] = unquote(value)
        return match, found


def _parameters(found: Scope) -> dict[str, Any]:
    return dict(found.get("path_params", {}))


def _raw_path(scope: Scope) -> str:
    raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
    return raw.decode("latin-1")
