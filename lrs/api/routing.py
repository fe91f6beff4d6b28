"""Routes: one for each resource, with a handler for each method it answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import quote, unquote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Receive, Scope, Send

Handler = Callable[[Request], Awaitable[Response]]


class Resource:
    """An ASGI application: Starlette would catch exceptions once more around a function."""

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        self.handlers = handlers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self.handlers[scope["method"]](Request(scope, receive))
        await response(scope, receive, send)


def resource(path: str, **handlers: Handler) -> Route:
    """A resource and its handlers, by method in small letters. GET answers HEAD as well."""
    by_method = {method.upper(): handler for method, handler in handlers.items()}
    if "GET" in by_method:
        by_method.setdefault("HEAD", by_method["GET"])
    return Route(path, Resource(by_method), methods=list(by_method))


def segmented(path: str, **handlers: Handler) -> BaseRoute:
    """A resource whose path is cut before it is decoded: an id may hold an escaped slash (%2F)."""
    plain = resource(path, **handlers)
    return _Segmented(path, plain.endpoint, methods=list(plain.methods or ()))


class _Segmented(Route):
    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, found = super().matches({**scope, "path": raw_path(scope)})
        for name, value in _parameters(found).items():
            found["path_params"][name] = unquote(value)
        return match, found


def _parameters(found: Scope) -> dict[str, Any]:
    return dict(found.get("path_params", {}))


def raw_path(scope: Scope) -> str:
    """The path as it was sent, with its escapes."""
    raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
    return raw.decode("latin-1")
