"""The ASGI application: one layer, which finds the resource and sends what that answers.

An answer is complete before it is sent: nothing has to look at it again on its way out.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from starlette.requests import Request
from starlette.routing import Router
from starlette.types import Receive, Scope, Send

from lrs.api import request_log
from lrs.api.cors import CrossOrigin
from lrs.api.routing import Resource, Resources
from lrs.api.services import Services
from lrs.observability.logs import request_id
from lrs.observability.server_timing import Spent, spent


class Application:
    """All resources, and the services that they work with, which live as long as the lifespan.

    With `timed`, answers say in Server-Timing where their time went.
    """

    def __init__(
        self,
        resources: Iterable[Resource],
        running: Callable[[], AbstractAsyncContextManager[Services]],
        *,
        origins: CrossOrigin | None = None,
        timed: bool = False,
    ) -> None:
        self.services: Services | None = None
        self._resources = Resources(resources)
        self._running = running
        self._origins = origins
        self._timed = timed
        self._router = Router(lifespan=lambda _: self.lifespan())

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        async with self._running() as self.services:
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._router(scope, receive, send)
            return
        began = time.perf_counter()
        identity = request_log.identity(scope)
        request_id.set(identity)
        measured = Spent() if self._timed else None
        spent.set(measured)
        scope["services"] = self.services
        resource, status = self._resources.find(scope), 500
        try:
            origins = self._origins
            response = origins.preflight(scope) if origins else None
            if response is None:
                response = await resource.answer(Request(scope, receive))
            if origins:
                origins.mark(scope, response)
            response.raw_headers.append((b"x-request-id", identity.encode()))
            if measured:
                response.raw_headers.append((b"server-timing", measured.header().encode()))
            status = response.status_code
            await response(scope, receive, send)
        finally:
            request_log.record(scope, resource, status, time.perf_counter() - began)
