"""Text that PostgreSQL can store: it takes neither NUL nor lone surrogates."""

from __future__ import annotations

import re

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def is_storable(value: object) -> bool:
    """Whether PostgreSQL can store the value, if it is text."""
    return not isinstance(value, str) or _UNSTORABLE.search(value) is None


def replace_unstorable(text: str) -> str:
    """The text with U+FFFD for each character that PostgreSQL cannot store."""
    return _UNSTORABLE.sub("\ufffd", text)
