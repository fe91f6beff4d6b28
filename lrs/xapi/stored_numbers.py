"""Numbers of activity definitions, which the store keeps as they were sent.

The store merges definitions as `jsonb`, which changes 1E5 to 100000. Such a number is stored as a
string: a mark and its text. A string that begins with the mark gets another one.
"""

from __future__ import annotations

from typing import Any

import jiter
import orjson

from lrs.xapi import strict_json

MARK = "\ue000"
"""A private use character (Unicode 23.5)."""

_MARK_BYTES = MARK.encode()
_NUMBER = MARK + "number:"
_STRING = MARK + "string:"

# PostgreSQL's numeric has 16,383 digits after the decimal point.
_MAX_NUMERIC_DIGITS = 1_000


def is_stored_as_is(definition: dict[str, Any], text: bytes) -> bool:
    """Whether `text`, written by orjson, is the text to store: without floats and marks.

    Only extensions have numbers.
    """
    extensions = definition.get("extensions")
    return _MARK_BYTES not in text and not (extensions and _has_float(extensions))


def dump(definition: Any) -> bytes:
    """The text to store of a definition of `strict_json.loads_exact`."""
    return strict_json.dumps_exact(_marked(definition))


def load(text: str) -> Any:
    """The definition of a stored text, for `strict_json.dumps_exact`."""
    definition = strict_json.loads_exact(text.encode())
    return _unmarked(definition) if MARK in text else definition


def load_rounded(text: str) -> Any:
    """The definition of a stored text, with floats as doubles."""
    return orjson.loads(strict_json.dumps_exact(load(text)) if MARK in text else text)


def _has_float(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_float, value.values()))
    if isinstance(value, list):
        return any(map(_has_float, value))
    return isinstance(value, float)


def _marked(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _marked(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_marked(item) for item in value]
    if isinstance(value, str):
        return f"{_STRING}{value}" if value.startswith(MARK) else value
    if isinstance(value, jiter.LosslessFloat):
        text = str(value)
        return value if _is_kept(text) else _NUMBER + text
    return value


def _is_kept(number: str) -> bool:
    """Whether `jsonb` keeps the text of a number."""
    if len(number) > _MAX_NUMERIC_DIGITS or "e" in number or "E" in number:
        return False
    return not number.startswith("-") or float(number) != 0


def _unmarked(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _unmarked(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_unmarked(item) for item in value]
    if isinstance(value, str) and value.startswith(_NUMBER):
        return jiter.LosslessFloat(value.removeprefix(_NUMBER).encode())
    if isinstance(value, str):
        return value.removeprefix(_STRING)
    return value
