"""Names of partners and tools: they are parts of URLs and of file names."""

from __future__ import annotations

import re

from lrs.errors import InvalidParameter

PATTERN = "[A-Za-z0-9][A-Za-z0-9._-]{0,62}"
_NAME = re.compile(PATTERN)


def is_valid(name: str) -> bool:
    """Whether the name has at most 63 URL-safe characters and starts with a letter or digit."""
    return _NAME.fullmatch(name) is not None


def require_valid(name: str, kind: str) -> None:
    """Raises InvalidParameter unless the name is valid; `kind` is "partner" or "tool"."""
    if not is_valid(name):
        raise InvalidParameter(
            f"{name[:80]!r} is not a valid {kind} name: use 1 to 63 letters (A-Z, a-z), digits, "
            "dots, hyphens and underscores, starting with a letter or digit."
        )
