"""Opaque cursors of lists: the sort key of the last row of a page, as base64url of JSON."""

from __future__ import annotations

import base64
from typing import TypeVar

import msgspec

_Key = TypeVar("_Key")


def encode(sort_key: object) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(sort_key)).decode().rstrip("=")


def decode(cursor: str, sort_key: type[_Key]) -> _Key:
    """The sort key of a cursor. Raises ValueError."""
    text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    return msgspec.json.decode(text, type=sort_key)  # its errors are ValueErrors
