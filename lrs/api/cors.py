"""Cross-origin requests: content in a browser calls from wherever it is at home."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.routing import Router
from starlette.types import Scope

from lrs.api.request_parsing import header

_NEVER_CACHED = frozenset({"POST", "PUT", "DELETE"})


class CrossOrigin:
    """Starlette's rules of who may call from where; no cookies are ever involved.

    Every answer says that it varies with the origin, as a cache might give it to another page; but
    not the answer to a POST, PUT or DELETE that no page has sent, which no cache keeps.
    """

    def __init__(
        self, origins: Sequence[str], *, allow_headers: Sequence[str], expose_headers: Sequence[str]
    ) -> None:
        self._rules = CORSMiddleware(
            Router(),  # it is not called
            allow_origins=origins,
            allow_methods=["GET", "HEAD", "PUT", "POST", "DELETE"],
            allow_headers=allow_headers,
            expose_headers=expose_headers,
            max_age=3600,
        )

    def preflight(self, scope: Scope) -> Response | None:
        """What answers a browser that asks whether a page may send a request; None for all else."""
        if scope["method"] != "OPTIONS":
            return None
        headers = Headers(scope=scope)
        if "origin" not in headers or "access-control-request-method" not in headers:
            return None
        return self._rules.preflight_response(headers)

    def mark(self, scope: Scope, response: Response) -> None:
        """Says in an answer whose pages may read it."""
        origin = header(scope, b"origin")
        if origin is not None:
            response.headers.update(self._rules.simple_headers)
            if not self._rules.allow_all_origins and self._rules.is_allowed_origin(origin):
                response.headers["Access-Control-Allow-Origin"] = origin
        elif scope["method"] in _NEVER_CACHED:
            return
        response.raw_headers.append((b"vary", b"Origin"))
