"""Static files of the console."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from lrs.errors import NotFound

_DIRECTORY = Path(__file__).resolve().parent / "static"
_MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


async def get_static(request: Request) -> Response:
    name = request.path_params["file"]
    media_type = _MEDIA_TYPES.get(Path(name).suffix)
    if media_type is None or name not in _files():
        raise NotFound(f"File {name[:80]!r} not found.")
    headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}
    return Response(_files()[name], headers=headers, media_type=media_type)


@cache
def _files() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in _DIRECTORY.iterdir() if path.is_file()}
