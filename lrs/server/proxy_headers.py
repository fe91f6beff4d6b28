"""The URL that a client used, from the `X-Forwarded-*` headers of trusted proxies."""

from __future__ import annotations

from typing import Any

from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

_HEADERS = frozenset({b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto"})

# An IPv4 client of a server that listens on `::`: the settings name it as IPv4.
_IPV4_MAPPED = "::ffff:"


class ProxyHeaders(ProxyHeadersMiddleware):
    """uvicorn's middleware for X-Forwarded-Proto and X-Forwarded-For, with X-Forwarded-Host.

    The signature of a callback covers the URL that the tool called, host included.
    """

    def __init__(self, app: Any, trusted_proxies: str) -> None:
        super().__init__(app, trusted_proxies)  # app: Starlette and uvicorn differ in its type

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        client = scope.get("client")
        if client and client[0].startswith(_IPV4_MAPPED):
            client = scope["client"] = (client[0].removeprefix(_IPV4_MAPPED), client[1])
        if scope["type"] != "http" or _HEADERS.isdisjoint(dict(scope["headers"])):
            await self.app(scope, receive, send)
            return
        if client and client[0] in self.trusted_hosts:
            _replace_host(scope)
        await super().__call__(scope, receive, send)


def _replace_host(scope: Any) -> None:
    values = [value for name, value in scope["headers"] if name == b"x-forwarded-host"]
    if values and (host := values[0].partition(b",")[0].strip()):
        other_headers = [header for header in scope["headers"] if header[0] != b"host"]
        scope["headers"] = [*other_headers, (b"host", host)]
