"""URLs as the world sees them."""

from __future__ import annotations

from starlette.requests import Request

from lrs.api import request_parsing


def base_url(request: Request) -> str:
    """Where this server is: as the settings say, or else as the request was sent to it.

    Scheme and host are those that a trusted proxy forwards, if there are such.
    """
    settings = request_parsing.services(request).settings
    host = request.headers.get("host")
    if settings.public_url or not host:
        return settings.base_url
    return f"{request.scope['scheme']}://{host}"


def path(request: Request) -> str:
    """The path as it was sent, with its escapes."""
    return request_parsing.raw_path(request.scope)


def url(request: Request) -> str:
    """The URL that the request was sent to."""
    query = request.scope["query_string"].decode("latin-1")
    return base_url(request) + path(request) + (f"?{query}" if query else "")
