"""The URL that a client used, from the `X-Forwarded-*` headers of trusted proxies."""

from __future__ import annotations

import re
from typing import Any

from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

_HEADERS = frozenset(
    {b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-prefix", b"x-forwarded-proto"}
)

# Without empty segments, `.` and `..`: a client would take //example.com for another server.
_PREFIX = re.compile(rb"(/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~!$&'()*+;=:@%-]+)*")
_MAX_PREFIX_BYTES = 255

# An IPv4 client of a server that listens on `::`: the settings name it as IPv4.
_IPV4_MAPPED = "::ffff:"


class ProxyHeaders(ProxyHeadersMiddleware):
    """uvicorn's middleware for X-Forwarded-Proto and -For, with X-Forwarded-Host and -Prefix.

    The signature of a callback covers the URL that the tool called, host and prefix included. The
    prefix is what a proxy removes from the path; it becomes the `root_path` of the scope.
    """

    def __init__(self, app: Any, trusted_proxies: str) -> None:
        super().__init__(app, trusted_proxies)  # app: Starlette and uvicorn differ in its type

    def __call__(self, scope: Any, receive: Any, send: Any) -> Any:
        client = scope.get("client")
        if client and client[0].startswith(_IPV4_MAPPED):
            client = scope["client"] = (client[0].removeprefix(_IPV4_MAPPED), client[1])
        if scope["type"] != "http" or _HEADERS.isdisjoint(dict(scope["headers"])):
            return self.app(scope, receive, send)
        if client and client[0] in self.trusted_hosts:
            _replace_host(scope)
            _set_prefix(scope)
        return super().__call__(scope, receive, send)


def _replace_host(scope: Any) -> None:
    values = [value for name, value in scope["headers"] if name == b"x-forwarded-host"]
    if values and (host := values[0].partition(b",")[0].strip()):
        other_headers = [header for header in scope["headers"] if header[0] != b"host"]
        scope["headers"] = [*other_headers, (b"host", host)]


def _set_prefix(scope: Any) -> None:
    """Each of several proxies adds the prefix that it removes, the outermost first."""
    values = [value for name, value in scope["headers"] if name == b"x-forwarded-prefix"]
    parts = [part.strip().rstrip(b"/") for value in values for part in value.split(b",")]
    prefix = b"".join(parts)
    if prefix and len(prefix) <= _MAX_PREFIX_BYTES and _PREFIX.fullmatch(prefix):
        scope["root_path"] = prefix.decode()
