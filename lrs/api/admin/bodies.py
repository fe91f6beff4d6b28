"""JSON bodies of the interface of operators, as structs."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from starlette.requests import Request

from lrs.api import request_parsing
from lrs.errors import BadRequest, InvalidParameter, Violation
from lrs.xapi import strict_json

Body = TypeVar("Body", bound=msgspec.Struct)

MAX_BODY_BYTES = 65_536


async def read_body(request: Request, struct: type[Body]) -> Body:
    """The body as a struct. Raises UnsupportedMediaType, MalformedJSON, InvalidParameter."""
    text = await request_parsing.read_body(request, MAX_BODY_BYTES)
    request_parsing.require_json(request)
    content = strict_json.loads(text)
    if not isinstance(content, dict):
        raise BadRequest("The body must be a JSON object.")
    try:
        return msgspec.convert(content, struct)
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from None


def _invalid(message: str) -> InvalidParameter:
    """The error for a member, from msgspec's "Expected `str`, got `int` - at `$.role`"."""
    detail, _, path = message.partition(" - at ")
    pointer = path.strip("`").removeprefix("$").replace(".", "/").replace("[", "/").rstrip("]")
    detail = detail.replace("`", "")
    detail = detail[:1].lower() + detail[1:]
    where = f" {pointer}" if pointer else ""
    return InvalidParameter(
        f"The body is invalid{where}: {detail}.",
        violations=[Violation(pointer, detail, "Admin API")],
    )
