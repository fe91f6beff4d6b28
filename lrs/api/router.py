"""Routing: find the handler of a request, run it, and render the error that it raises."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from starlette import routing
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Lifespan, Receive, Scope, Send

from lrs.api import paths, problem_details, time_limit, urls
from lrs.api.admission import MAX_UNSLICED_BYTES, admission
from lrs.api.request_parsing import raw_path
from lrs.api.request_record import record_of
from lrs.errors import LRSError, MethodNotAllowed, NotFound

Handler = Callable[[Request], Awaitable[Response]]


class EncodedPathRoute(Route):
    """A route that splits the path before it decodes it: an id may contain a slash as %2F."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A path and its handlers by method. `route` is the first row of the table for this path."""

    route: Route
    handlers: dict[str, Handler] = field(default_factory=dict)

    def path_params(self, scope: Scope) -> dict[str, str] | None:
        """The parameters in the path of a request, decoded; None if the path does not match."""
        encoded = isinstance(self.route, EncodedPathRoute)
        match = self.route.path_regex.fullmatch(raw_path(scope) if encoded else scope["path"])
        if match is None:
            return None
        params = match.groupdict()
        return {name: unquote(value) for name, value in params.items()} if encoded else params

    def handler(self, method: str) -> Handler:
        """The handler of a method. Raises MethodNotAllowed with the Allow header."""
        if handler := self.handlers.get(method):
            return handler
        allowed = ", ".join(sorted(self.handlers))
        raise MethodNotAllowed(f"This resource supports {allowed}.", headers={"Allow": allowed})


class Router(routing.Router):
    """Starlette's router with an index of its routes; docs/design.md has the measured gain.

    A path without parameters is a dictionary lookup. The other paths are matched in the order of
    the table. Handlers return a complete response, and one renderer turns exceptions into problem
    details. A handler has a time limit. The charge of a request to its limits (`access.charge`)
    ends with the request. A HEAD request runs the GET handler; the server omits the body.
    """

    def __init__(
        self,
        routes: Sequence[Route],
        *,
        lifespan: Lifespan[Any] | None = None,
        time_limit_seconds: float = 31.0,
    ) -> None:
        super().__init__(routes, redirect_slashes=False, lifespan=lifespan)
        self._time_limits = time_limit.TimeLimits(time_limit_seconds)
        resources: dict[str, Resource] = {}
        for route in routes:
            resource = resources.setdefault(route.path, Resource(route))
            resource.handlers.update(dict.fromkeys(route.methods or (), route.endpoint))
        self._paths = list(resources)
        self._fixed = {
            path: resource
            for path, resource in resources.items()
            if not resource.route.param_convertors
        }
        self._parameterized = [
            resource for path, resource in resources.items() if path not in self._fixed
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        try:
            response = await self._response(scope, receive)
            if (charge := scope.get("charge")) is not None:
                response.raw_headers += charge.headers()
            body = getattr(response, "body", None)
            if body is None or len(body) > MAX_UNSLICED_BYTES:
                send = admission(scope).in_slices(send)
            await response(scope, receive, send)
        finally:
            if (charge := scope.pop("charge", None)) is not None:
                charge.release()

    async def _response(self, scope: Scope, receive: Receive) -> Response:
        limit = self._time_limits.begin(scope)
        try:
            handler = self._resource(scope).handler(scope["method"])
            response = await handler(Request(scope, receive))
            # The body of a streaming response is not there yet.
            admission(scope).hold_response(len(getattr(response, "body", b"")))
            return response
        except asyncio.CancelledError:
            if not limit.is_exceeded:
                raise
            limit.task.uncancel()
            exceeded = time_limit.exceeded(scope, TimeoutError())
            record_of(scope).fail(exceeded)
            return problem_details.render(exceeded)
        except Exception as error:
            response = problem_details.render(error)
            if isinstance(error, LRSError):
                record_of(scope).fail(error)
            # Requests can share one error instance; without this its traceback grows.
            error.__traceback__ = None
            return response
        finally:
            self._time_limits.end(limit)

    def _not_found(self, scope: Scope) -> NotFound:
        path, base_path = scope["path"], urls.base_path(scope)
        similar = paths.similar_path(path, self._paths)
        hint = f" The path {base_path}{similar} is similar." if similar else ""
        return NotFound(f"No resource at {base_path}{path[:500]}.{hint}")

    def _resource(self, scope: Scope) -> Resource:
        """The resource of a path; its route and parameters go into the scope. Raises NotFound."""
        resource = self._fixed.get(scope["path"])
        if resource is None:
            for resource in self._parameterized:
                params = resource.path_params(scope)
                if params is not None:
                    scope["path_params"] = params
                    break
            else:
                raise self._not_found(scope)
        scope["route"] = resource.route
        return resource
