"""Absolute URLs of this server, as clients see them."""

from __future__ import annotations

from starlette.requests import Request

from lrs.api import request_parsing


def base_url(request: Request) -> str:
    """Scheme, host and base path: the setting `LRS_PUBLIC_URL`, or those of the request.

    A trusted proxy's forwarded scheme and host are already in the request.
    """
    settings = request_parsing.services(request).settings
    host = request.headers.get("host")
    if settings.public_url or not host:
        return settings.base_url
    return f"{request.scope['scheme']}://{host}"


def path(request: Request) -> str:
    """The path as sent, percent-encoded."""
    return request_parsing.raw_path(request.scope)


def url(request: Request) -> str:
    """The URL of the request."""
    query = request.scope["query_string"].decode("latin-1")
    return base_url(request) + path(request) + (f"?{query}" if query else "")
