"""JSON bodies as structs, with errors that name the member."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

from lrs.errors import InvalidParameter, Violation

Body = TypeVar("Body", bound=msgspec.Struct)

_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`", re.DOTALL)
_EXCERPT = 80


def convert(content: Any, struct: type[Body], section: str) -> Body:
    """The JSON value as a struct. Raises InvalidParameter with the pointer of the member."""
    try:
        return msgspec.convert(content, struct)
    except msgspec.ValidationError as error:
        pointer, detail = _described(str(error), struct)
    where = f" {pointer[:_EXCERPT]}" if pointer else ""
    raise InvalidParameter(
        f"The body is invalid{where}: {detail}.", violations=[Violation(pointer, detail, section)]
    )


def _described(message: str, struct: type[msgspec.Struct]) -> tuple[str, str]:
    """Pointer and detail, from msgspec's "Expected `str`, got `int` - at `$.role`"."""
    detail, _, path = message.rpartition(" - at `$") if " - at `$" in message else (message, "", "")
    pointer = path.removesuffix("`").replace(".", "/").replace("[", "/").replace("]", "")
    if match := _UNKNOWN.fullmatch(detail):
        members = ", ".join(field.encode_name for field in msgspec.structs.fields(struct))
        listed = f" but {members}" if members and not pointer else ""
        return f"{pointer}/{_escaped(match[1])}", f"expected no member{listed}"
    if match := _MISSING.fullmatch(detail):
        return f"{pointer}/{_escaped(match[1])}", "expected a value, found none"
    detail = detail.replace("`", "")
    return pointer, detail[:1].lower() + detail[1:]


def _escaped(name: str) -> str:
    """A token of a JSON pointer (RFC 6901 3)."""
    return name.replace("~", "~0").replace("/", "~1")
