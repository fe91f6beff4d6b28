"""Resources: what has a path, and a handler for each method that it answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from urllib.parse import quote, unquote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import compile_path
from starlette.types import Scope

from lrs.api import problem_details
from lrs.errors import MethodNotAllowed, NotFound

Handler = Callable[[Request], Awaitable[Response]]


class Resource:
    """A path, perhaps with parameters, and its handlers by method; without any, it is not there.

    One that is `segmented` has its path cut before that is decoded.
    """

    def __init__(
        self, path: str, handlers: Mapping[str, Handler], *, segmented: bool = False
    ) -> None:
        self.path = path
        self.handlers = dict(handlers)
        self.segmented = segmented
        self._pattern, _, parameters = compile_path(path)
        self.has_parameters = bool(parameters)

    def parameters(self, scope: Scope) -> dict[str, str] | None:
        """The parameters in the path of a request; None if that is the path of something else."""
        found = self._pattern.fullmatch(raw_path(scope) if self.segmented else scope["path"])
        if found is None:
            return None
        named = found.groupdict()
        return {name: unquote(text) for name, text in named.items()} if self.segmented else named

    async def answer(self, request: Request) -> Response:
        """What the handler answers, or the problem if there is one; never raises."""
        try:
            return await self._handler(request)(request)
        except Exception as error:
            response = problem_details.render(error)
            # One error may meet several requests; it is not to gather the ways of all of them.
            error.__traceback__ = None
            return response

    def _handler(self, request: Request) -> Handler:
        handler = self.handlers.get(request.method)
        if handler is not None:
            return handler
        if not self.handlers:
            raise NotFound(f"There is no resource at {request.scope['path']}.")
        allowed = ", ".join(self.handlers)
        raise MethodNotAllowed(f"This resource answers {allowed}.", headers={"Allow": allowed})


def resource(path: str, **handlers: Handler) -> Resource:
    """A resource and its handlers, by method in small letters. GET answers HEAD as well."""
    return Resource(path, by_method(handlers))


def segmented(path: str, **handlers: Handler) -> Resource:
    """A resource whose path is cut before it is decoded: an id may hold an escaped slash (%2F)."""
    return Resource(path, by_method(handlers), segmented=True)


def by_method(handlers: Mapping[str, Handler]) -> dict[str, Handler]:
    found = {method.upper(): handler for method, handler in handlers.items()}
    if "GET" in found:
        found.setdefault("HEAD", found["GET"])
    return found


NOWHERE = Resource("/{path:path}", {})


class Resources:
    """All that there are: those without parameters by their path, the others in their order."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        found = list(resources)
        self._plain = {each.path: each for each in found if not each.has_parameters}
        self._others = [each for each in found if each.has_parameters]

    def find(self, scope: Scope) -> Resource:
        """What a request asks for, be it there or not; its parameters are put into the scope."""
        if plain := self._plain.get(scope["path"]):
            return plain
        for each in self._others:
            if (parameters := each.parameters(scope)) is not None:
                scope["path_params"] = parameters
                return each
        return NOWHERE


def raw_path(scope: Scope) -> str:
    """The path as it was sent, with its escapes."""
    raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
    return raw.decode("latin-1")
