"""CORS: Starlette's middleware, with a short path for requests without an Origin header."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lrs.api.request_parsing import header

_CACHEABLE = frozenset({"GET", "HEAD"})


class _CORSMiddleware(CORSMiddleware):
    """A preflight of an allowed origin is 200: the browser compares what it names as allowed."""

    def preflight_response(self, request_headers: Headers) -> Response:
        response = super().preflight_response(request_headers)
        if self.is_allowed_origin(request_headers["origin"]):
            response.status_code = 200
        return response


def _is_for_operators(path: str) -> bool:
    """Whether only pages of this server may send the request."""
    return path.startswith(("/v1/admin/", "/console"))


class CORS:
    """Clients other than browsers send no Origin and skip the cost of Starlette's middleware.

    Their GET responses still have `Vary: Origin`: a cache must not reuse one for a page. If every
    origin is allowed, so is every request header.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        allow_origins: Sequence[str],
        allow_headers: Sequence[str],
        expose_headers: Sequence[str],
    ) -> None:
        self._app = app
        self._cors_app = _CORSMiddleware(
            app,
            allow_origins=allow_origins,
            allow_methods=["GET", "HEAD", "PUT", "POST", "DELETE"],
            allow_headers=["*"] if "*" in allow_origins else allow_headers,
            expose_headers=expose_headers,
            max_age=3600,
        )

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http":
            return self._app(scope, receive, send)
        if header(scope, b"origin") is not None and not _is_for_operators(scope["path"]):
            return self._cors_app(scope, receive, send)
        if scope["method"] not in _CACHEABLE:
            return self._app(scope, receive, send)

        def send_with_vary(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                message["headers"].append((b"vary", b"Origin"))
            return send(message)

        return self._app(scope, receive, send_with_vary)
