"""Cross-origin requests: content in a browser calls from wherever it is at home."""

from __future__ import annotations

from starlette.middleware.cors import CORSMiddleware
from starlette.types import Receive, Scope, Send

from lrs.api.reading import header

_NEVER_CACHED = frozenset({"POST", "PUT", "DELETE"})


class CrossOrigin(CORSMiddleware):
    """Starlette's, but for what neither comes from a browser's page nor may be given to one later.

    Of all others the answer says that it varies with the origin.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] == "http"
            and scope["method"] in _NEVER_CACHED
            and header(scope, b"origin") is None
        ):
            await self.app(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)
