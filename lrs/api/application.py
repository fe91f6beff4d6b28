"""The ASGI application: the services, the middleware and the router."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from starlette.middleware import Middleware
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from lrs.api import paths
from lrs.api.router import Router
from lrs.api.services import Services


class Application:
    """Routes, middleware, and services that exist while the lifespan lasts.

    The first middleware is the outermost. `services` is None outside the lifespan.
    """

    def __init__(
        self,
        routes: Sequence[Route],
        open_services: Callable[[], AbstractAsyncContextManager[Services]],
        *,
        middleware: Sequence[Middleware] = (),
        time_limit_seconds: float = 31.0,
    ) -> None:
        self.services: Services | None = None
        self._open_services = open_services
        self._app: ASGIApp = Router(
            routes,
            lifespan=lambda _: self.lifespan(),
            time_limit_seconds=time_limit_seconds,
        )
        for cls, args, kwargs in reversed(middleware):
            self._app = cls(self._app, *args, **kwargs)

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        async with self._open_services() as self.services:
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["services"] = self.services
        if scope["type"] == "http":
            paths.normalize(scope)
        await self._app(scope, receive, send)
