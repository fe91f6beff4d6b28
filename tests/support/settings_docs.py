"""Names of settings, as variables and in the documentation."""

from __future__ import annotations

from lrs.settings import PREFIX


def variable(name: str) -> str:
    return f"{PREFIX}{name.upper()}"
