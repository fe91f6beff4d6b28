"""Paths of requests: their normal form, and a hint for a path without a resource."""

from __future__ import annotations

import re
from collections.abc import Collection
from difflib import get_close_matches
from urllib.parse import unquote

from starlette.types import Scope

_SLASHES = re.compile("/{2,}")
# The base path of Percipio's document.
_PERCIPIO = b"/content-aggregation/"
# The signature of a callback covers the URL as the tool called it.
_SIGNED = b"/api/lti/"
_XAPI = "/xapi"
_PARTNERS = "/v1/partners/{partner}"


def normalize(scope: Scope) -> None:
    """Collapses repeated slashes and removes a trailing one and Percipio's base path.

    Clients join an endpoint with a trailing slash and a resource with a leading one. An encoded
    slash is a part of an id and stays.
    """
    raw: bytes = scope.get("raw_path") or b""
    if b"//" not in raw and not raw.endswith(b"/") and not raw.startswith(_PERCIPIO):
        return
    if raw == b"/" or raw.startswith(_SIGNED):
        return
    path = _SLASHES.sub("/", raw.decode("latin-1")).rstrip("/")
    path = path.removeprefix(_PERCIPIO[:-1].decode()) or "/"
    scope["raw_path"] = path.encode("latin-1")
    scope["path"] = unquote(path)


def similar_path(path: str, paths: Collection[str]) -> str | None:
    """The path of the resource that a client may mean; `paths` are those of all routes."""
    lower = path.lower()
    _, marker, resource = lower.rpartition("/xapi")
    if marker:
        return _closest(_XAPI + (resource or "/about"), paths)
    if lower.startswith("/v1"):
        last = lower.rpartition("/")[2]
        return _closest(f"{_PARTNERS}/{last}", paths) or _closest(path, paths)
    return _closest(_XAPI + lower, paths) or _closest(lower, paths) or _same_end(lower, paths)


def _same_end(path: str, paths: Collection[str]) -> str | None:
    """The shortest path with the same last segment, such as /oauth2/token for /token."""
    _, _, last = path.rpartition("/")
    with_last = [candidate for candidate in paths if candidate.endswith(f"/{last}")] if last else ()
    return min(with_last, key=len, default=None)


def _closest(path: str, paths: Collection[str]) -> str | None:
    return next(iter(get_close_matches(path[:200], paths, n=1, cutoff=0.8)), None)
