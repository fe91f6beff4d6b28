"""Absolute URLs of this server, as clients see them."""

from __future__ import annotations

from starlette.requests import Request

from lrs.api import request_parsing
from lrs.api.urls import base_url as base_url


def path(request: Request) -> str:
    """The path as sent, percent-encoded."""
    return request_parsing.raw_path(request.scope)


def url(request: Request) -> str:
    """The URL of the request."""
    query = request.scope["query_string"].decode("latin-1")
    return base_url(request) + path(request) + (f"?{query}" if query else "")
