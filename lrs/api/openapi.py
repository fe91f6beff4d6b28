"""The OpenAPI 3.1 document, the JSON Schemas, and the documentation page.

`schemas/openapi.json` refers to the schema files by relative `$ref`. It is served as one bundled
document with these files as components, because tools differ in how they resolve references to
other files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path
from posixpath import dirname, join, normpath
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from lrs import __version__
from lrs.api import urls
from lrs.errors import NotFound
from lrs.resources import schema_files

SOURCES = ("openapi.json", "openapi-admin.json")
"""The files in `schemas/` that are an OpenAPI document and not schemas; the second one is added
to the first."""

_STATIC = Path(__file__).resolve().parent / "static"
_MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".png": "image/png"}

_PAGE_HEADERS = {
    # Icons in the style sheet are data URLs; everything else has the same origin.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def bundled() -> dict[str, Any]:
    """The OpenAPI document, with the schema files as components."""
    document, admin = (_source(name) for name in SOURCES)
    document["tags"] += admin["tags"]
    document["paths"] |= admin["paths"]
    for kind, components in admin["components"].items():
        document["components"][kind] |= components
    document["info"]["version"] = __version__
    schemas = document["components"]["schemas"]
    for name, content in schema_files().items():
        if name not in SOURCES:
            schemas[_component(name)] = _embed(orjson.loads(content), name)
    return document


def _source(name: str) -> dict[str, Any]:
    document: dict[str, Any] = _rewrite(orjson.loads(schema_files()[name]), name)
    return document


def _component(file: str) -> str:
    return file.removesuffix(".json").replace("/", "-")


def _embed(schema: dict[str, Any], file: str) -> Any:
    """A schema without `$id` and `$schema`: an `$id` would change the base of its references."""
    kept = {name: value for name, value in schema.items() if name not in ("$id", "$schema")}
    return _rewrite(kept, file, f"#/components/schemas/{_component(file)}")


def _rewrite(node: Any, file: str, base: str = "#") -> Any:
    """The node with references into the bundled document; `base` is the pointer to `file`."""
    if isinstance(node, list):
        return [_rewrite(item, file, base) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        name: _reference(value, file, base) if name == "$ref" else _rewrite(value, file, base)
        for name, value in node.items()
    }


def _reference(reference: str, file: str, base: str) -> str:
    target, _, fragment = reference.partition("#")
    if target:
        base = f"#/components/schemas/{_component(normpath(join(dirname(file), target)))}"
    return base + fragment


async def get_openapi(request: Request) -> Response:
    content = _openapi(urls.base_path(request.scope))
    return _response(request, content, "application/json")


@lru_cache(16)  # a proxy may pass a prefix on that a client chose
def _openapi(base_path: str) -> bytes:
    document = bundled()
    flow = document["components"]["securitySchemes"]["oauth2"]["flows"]["clientCredentials"]
    flow["tokenUrl"] = base_path + flow["tokenUrl"]
    return orjson.dumps({**document, "servers": [{"url": base_path or "/"}]})


async def get_schema(request: Request) -> Response:
    name = request.path_params["path"]
    if name in SOURCES or name not in schema_files():
        raise NotFound(f"Schema {name[:80]!r} not found.")
    return _response(request, schema_files()[name], "application/schema+json")


async def get_page(request: Request) -> Response:
    page = _static()["index.html"].replace(b"{version}", __version__.encode())
    return _response(request, page, "text/html", _PAGE_HEADERS)


async def get_static(request: Request) -> Response:
    name = request.path_params["file"]
    media_type = _MEDIA_TYPES.get(Path(name).suffix)
    if media_type is None or name not in _static():
        raise NotFound(f"File {name[:80]!r} not found.")
    return _response(request, _static()[name], media_type, {"X-Content-Type-Options": "nosniff"})


@cache
def _static() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in _STATIC.iterdir() if path.is_file()}


def _response(
    request: Request, content: bytes, media_type: str, headers: Mapping[str, str] | None = None
) -> Response:
    """The content, or 304 if its ETag is in If-None-Match (RFC 9110 13.1.2)."""
    etag = f'"{_digest(content)}"'
    headers = {**(headers or {}), "ETag": etag, "Cache-Control": "no-cache"}
    tags = ",".join(request.headers.getlist("if-none-match")).split(",")
    cached = {tag.strip().removeprefix("W/") for tag in tags}
    if not cached.isdisjoint({etag, "*"}):
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=media_type)


@lru_cache(256)
def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]
