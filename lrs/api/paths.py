"""Paths of requests: their normal form, and a hint for a path without a resource."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from difflib import SequenceMatcher
from urllib.parse import unquote

from starlette.types import Scope

_SLASHES = re.compile("/{2,}")
# The base path of Percipio's document.
_PERCIPIO = b"/content-aggregation/"
# The signature of a callback covers the URL as the tool called it.
_SIGNED = b"/api/lti/"
_XAPI = "/xapi"
_MAX_LENGTH = 200
_MIN_SIMILARITY = 0.8
_MIN_SEGMENT_SIMILARITY = 0.6


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
    candidates = list(_candidates(path[:_MAX_LENGTH].lower()))
    for candidate in (*candidates, *(parent.rpartition("/")[0] for parent in candidates)):
        if closest := _closest(candidate, paths):
            return closest
    _, _, last = path.lower().rpartition("/")
    with_last = [template for template in paths if template.endswith(f"/{last}")] if last else []
    return min(with_last, key=len, default=None)


def _candidates(path: str) -> Iterator[str]:
    """The path with other prefixes, the most likely one first."""
    _, marker, resource = path.rpartition(_XAPI)
    if marker:
        yield _XAPI + (resource or "/statements")
    yield path
    yield _XAPI + path
    _, marker, resource = path.partition("/partners/")
    if marker:
        yield f"/v1{marker}{resource}"
    if path.startswith("/v1"):
        yield f"/v1/partners/x/{path.rpartition('/')[2]}"


def _closest(path: str, paths: Collection[str]) -> str | None:
    """The most similar path with as many segments."""
    segments = path.split("/")
    similarities = {
        template: _similarity(segments, template.split("/"))
        for template in paths
        if template.count("/") == len(segments) - 1
    }
    closest = max(similarities, key=lambda template: similarities[template], default=None)
    return closest if closest and similarities[closest] >= _MIN_SIMILARITY else None


def _similarity(segments: list[str], template: list[str]) -> float:
    """From 0 to 1: the average of the fixed segments; 0 if one of them is another word."""
    ratios: list[float] = []
    for segment, fixed in zip(segments[1:], template[1:], strict=True):
        if fixed.startswith("{"):
            continue
        ratio = 1.0 if segment == fixed else _ratio(segment, fixed)
        if ratio < _MIN_SEGMENT_SIMILARITY:
            return 0.0
        ratios.append(ratio)
    return sum(ratios) / len(ratios) if ratios else 0.0


def _ratio(segment: str, fixed: str) -> float:
    matcher = SequenceMatcher(None, segment, fixed)
    # An upper bound by the lengths, which costs much less.
    upper_bound = matcher.real_quick_ratio()
    return upper_bound if upper_bound < _MIN_SEGMENT_SIMILARITY else matcher.ratio()
