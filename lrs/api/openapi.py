"""The interface's description: OpenAPI 3.1, the schemas that it refers to, and a page to read it.

`schemas/openapi.json` refers to the other files by relative `$ref`s, so that it can be read as it
stands. It is served as one document, with those files among its components and every reference
pointing inside: tools disagree on how they follow references into other files, not on these.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from posixpath import dirname, join, normpath
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from lrs import __version__
from lrs.api import request_parsing
from lrs.errors import NotFound
from lrs.resources import schema_files

SOURCE = "openapi.json"
"""The schema file that is no schema."""

_STATIC = Path(__file__).resolve().parent / "static"
_MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".png": "image/png"}

_PAGE_HEADERS = {
    # The style sheet draws its icons from data URLs; nothing else comes from anywhere but here.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def bundled() -> dict[str, Any]:
    """The OpenAPI document on its own: what it refers to is among its components."""
    document: dict[str, Any] = _rewritten(orjson.loads(schema_files()[SOURCE]), SOURCE)
    document["info"]["version"] = __version__
    schemas = document["components"]["schemas"]
    for name, content in schema_files().items():
        if name != SOURCE:
            schemas[_component(name)] = _embedded(orjson.loads(content), name)
    return document


def _component(file: str) -> str:
    return file.removesuffix(".json").replace("/", "-")


def _embedded(schema: dict[str, Any], file: str) -> Any:
    """A schema without what makes it a document of its own, which would be the base of its refs."""
    kept = {name: value for name, value in schema.items() if name not in ("$id", "$schema")}
    return _rewritten(kept, file, f"#/components/schemas/{_component(file)}")


def _rewritten(node: Any, file: str, place: str = "#") -> Any:
    """The same with its references as they are in the whole; `place` is where `file` stands."""
    if isinstance(node, list):
        return [_rewritten(each, file, place) for each in node]
    if not isinstance(node, dict):
        return node
    return {
        name: _reference(value, file, place) if name == "$ref" else _rewritten(value, file, place)
        for name, value in node.items()
    }


def _reference(reference: str, file: str, place: str) -> str:
    target, _, fragment = reference.partition("#")
    if target:
        place = f"#/components/schemas/{_component(normpath(join(dirname(file), target)))}"
    return place + fragment


async def get_openapi(request: Request) -> Response:
    path = request_parsing.services(request).settings.base_path
    return _answer(request, _openapi(path), "application/json")


@cache
def _openapi(path: str) -> bytes:
    return orjson.dumps({**bundled(), "servers": [{"url": path or "/"}]})


async def get_schema(request: Request) -> Response:
    name = request.path_params["path"]
    if name == SOURCE or name not in schema_files():
        raise NotFound(f"There is no schema {name[:80]!r}.")
    return _answer(request, schema_files()[name], "application/schema+json")


async def get_root(request: Request) -> Response:
    return RedirectResponse("docs")


async def get_page(request: Request) -> Response:
    page = _static()["index.html"].replace(b"{version}", __version__.encode())
    return _answer(request, page, "text/html", _PAGE_HEADERS)


async def get_static(request: Request) -> Response:
    name = request.path_params["file"]
    media_type = _MEDIA_TYPES.get(Path(name).suffix)
    if media_type is None or name not in _static():
        raise NotFound(f"There is no file {name[:80]!r}.")
    return _answer(request, _static()[name], media_type, {"X-Content-Type-Options": "nosniff"})


@cache
def _static() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in _STATIC.iterdir() if path.is_file()}


def _answer(
    request: Request, content: bytes, media_type: str, headers: Mapping[str, str] | None = None
) -> Response:
    """The content, or 304 where the one who asks has it already (RFC 9110 13.1.2)."""
    etag = f'"{_digest(content)}"'
    shared = {**(headers or {}), "ETag": etag, "Cache-Control": "no-cache"}
    known = {each.strip().removeprefix("W/") for each in _if_none_match(request).split(",")}
    if not known.isdisjoint({etag, "*"}):
        return Response(status_code=304, headers=shared)
    return Response(content, headers=shared, media_type=media_type)


def _if_none_match(request: Request) -> str:
    return ",".join(request.headers.getlist("if-none-match"))


@cache
def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]
