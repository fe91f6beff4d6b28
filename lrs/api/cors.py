"""CORS: Starlette's middleware, with a short path for requests without an Origin header."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lrs.api.request_parsing import header

_CACHEABLE = frozenset({"GET", "HEAD"})


class CORS:
    """Clients other than browsers send no Origin and skip the cost of Starlette's middleware.

    Their GET responses still have `Vary: Origin`: a cache must not reuse one for a page.
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
        self._cors_app = CORSMiddleware(
            app,
            allow_origins=allow_origins,
            allow_methods=["GET", "HEAD", "PUT", "POST", "DELETE"],
            allow_headers=allow_headers,
            expose_headers=expose_headers,
            max_age=3600,
        )

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http":
            return self._app(scope, receive, send)
        if header(scope, b"origin") is not None:
            return self._cors_app(scope, receive, send)
        if scope["method"] not in _CACHEABLE:
            return self._app(scope, receive, send)

        def send_with_vary(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                message["headers"].append((b"vary", b"Origin"))
            return send(message)

        return self._app(scope, receive, send_with_vary)
