"""The records of subjects; patterns and bounds that several settings share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar, dataclass_transform

_T = TypeVar("_T")

THREE_WEEKS = 2_000_000
"""Seconds: the longest timeout that timers and PostgreSQL accept."""

HUNDRED_YEARS = 3_000_000_000
"""Seconds: the longest lifetime."""

MAX_BIGINT = 2**63 - 1

ADDRESS_PATTERN = r"^(([0-9A-Za-z.-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5})?$"
"""A host and a port such as 127.0.0.1:9100, or an empty text."""


def expected(words: str) -> dict[str, Any]:
    """The meaning of a pattern, as an error message says it after "expected"."""
    return {"x-expected": words}


@dataclass_transform(frozen_default=True, kw_only_default=True)
def subject(cls: type[_T]) -> type[_T]:
    """A record of the settings of one subject, a base of `Settings`.

    It is not used by itself, so it has none of the methods of a dataclass: generating them makes
    every start of a command slower.
    """
    return dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)(cls)
