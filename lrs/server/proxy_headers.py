"""Behind a proxy: what the world called the server, told by proxies that are believed."""

from __future__ import annotations

from typing import Any

from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

_NAMES = frozenset({b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto"})


class Forwarded(ProxyHeadersMiddleware):
    """uvicorn's reading of X-Forwarded-Proto and X-Forwarded-For, and of X-Forwarded-Host too.

    A callback's signature covers the URL that the tool called, host included.
    """

    def __init__(self, app: Any, trusted: str) -> None:
        super().__init__(app, trusted)  # Starlette and uvicorn spell the same types differently

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or _NAMES.isdisjoint(dict(scope["headers"])):
            await self.app(scope, receive, send)
            return
        client = scope.get("client")
        if client and client[0] in self.trusted_hosts:
            _take_host(scope)
        await super().__call__(scope, receive, send)


def _take_host(scope: Any) -> None:
    told = [value for name, value in scope["headers"] if name == b"x-forwarded-host"]
    if told and (host := told[0].partition(b",")[0].strip()):
        others = [pair for pair in scope["headers"] if pair[0] != b"host"]
        scope["headers"] = [*others, (b"host", host)]
