"""JSON bodies of the interface of operators, as structs."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from starlette.requests import Request

from lrs.api import request_parsing, struct_bodies
from lrs.errors import BadRequest, InvalidParameter, Violation
from lrs.store.storable_text import is_storable
from lrs.xapi import strict_json

Body = TypeVar("Body", bound=msgspec.Struct)

MAX_BODY_BYTES = 65_536


async def read_body(request: Request, struct: type[Body], *, optional: bool = False) -> Body:
    """The body as a struct; with `optional`, no body is an empty object.

    Raises UnsupportedMediaType, MalformedJSON, InvalidParameter.
    """
    text = await request_parsing.read_body(request, MAX_BODY_BYTES)
    if not text and optional:
        text = b"{}"
    else:
        request_parsing.require_json(request)
    content = strict_json.loads(text)
    if not isinstance(content, dict):
        raise BadRequest("The body must be a JSON object.")
    _require_storable(content, "")
    return struct_bodies.convert(content, struct, "Admin API")


def changes(body: msgspec.Struct) -> dict[str, Any]:
    """The members that were sent."""
    values = ((name, getattr(body, name)) for name in body.__struct_fields__)
    return {name: value for name, value in values if value is not msgspec.UNSET}


def _require_storable(value: Any, pointer: str) -> None:
    """Raises InvalidParameter for NUL and lone surrogates, which PostgreSQL does not store."""
    if isinstance(value, dict):
        for name, item in value.items():
            _require_storable(name, pointer)
            _require_storable(item, f"{pointer}/{name}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _require_storable(item, f"{pointer}/{index}")
    elif not is_storable(value):
        detail = "contains a character that cannot be stored"
        raise InvalidParameter(
            f"The body is invalid {pointer[:80]!r}: {detail}.",
            violations=[Violation(pointer, detail, "Admin API")],
        )
