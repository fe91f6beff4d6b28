"""Strict parsing of request bodies.

Three libraries share the work:

- msgspec splits a batch into items without parsing them, and stops at the maximum number; the bytes
  of each item are kept;
- orjson parses values and rejects what is not JSON (NaN, lone surrogates, numbers beyond a double);
- jiter rejects duplicate keys and nesting beyond 200 levels. It is the slowest of the three and is
  skipped when orjson would serialize the value to the same bytes: then no key was dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import jiter
import msgspec
import orjson

from lrs.errors import MalformedJSON, TooLarge

MAX_DEPTH = 200
"""Levels of nesting, the limit of jiter."""

_SMALL_BYTES = 65_536
"""Of a smaller body all items are split before they are counted, which takes half the time."""

_MAX_FIELDS = 10_000
"""More items are counted after the split: it takes 0.2 s to make a struct of 100,000 fields."""

MAX_VALUES = 2_000_000
"""Commas in a body that is split before its items are counted: each item costs 70 bytes or more."""

_items = msgspec.json.Decoder(list[msgspec.Raw])
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_NO_ITEM = msgspec.Raw(b"")


def split_batch(body: bytes, max_items: int) -> tuple[list[bytes], bool]:
    """The items of a body as sent, and whether the body was an array.

    Raises TooLarge for more items, and MalformedJSON if the body is not one JSON value.
    """
    body = body.strip(b" \t\r\n")
    if not body.startswith(b"["):
        return [body], False
    try:
        is_limited = len(body) > _SMALL_BYTES and max_items <= _MAX_FIELDS
        items = _split_limited(body, max_items) if is_limited else _split(body)
    except msgspec.ValidationError:
        raise TooLarge(f"The body has more than {max_items} items.") from None
    except (msgspec.DecodeError, RecursionError) as error:
        if len(body) <= _SMALL_BYTES:
            loads(body)  # raises the more precise error
        raise MalformedJSON(f"The body is not JSON: {error}.") from None
    if len(items) > max_items:
        raise TooLarge(f"The body has {len(items)} items; at most {max_items} are allowed.")
    return items, True


def _split(body: bytes) -> list[bytes]:
    if body.count(b",") > MAX_VALUES:
        raise TooLarge(f"The body has more than {MAX_VALUES} values.")
    return [bytes(item) for item in _items.decode(body)]


def _split_limited(body: bytes, max_items: int) -> list[bytes]:
    """Raises ValidationError at the first item beyond the maximum: each costs 100 bytes."""
    batch = _limited_items(max_items).decode(body)
    return [bytes(item) for item in msgspec.structs.astuple(batch) if item is not _NO_ITEM]


@cache
def _limited_items(max_items: int) -> msgspec.json.Decoder[Any]:
    """A decoder of arrays as structs, because msgspec stops where an array exceeds its struct."""
    fields = [(f"item_{index}", msgspec.Raw, _NO_ITEM) for index in range(max_items)]
    return msgspec.json.Decoder(
        msgspec.defstruct("Items", fields, array_like=True, forbid_unknown_fields=True)
    )


def loads(item: bytes) -> Any:
    """The value of one item. Raises MalformedJSON with the position."""
    return parse(item)[0]


def parse(item: bytes) -> tuple[Any, bytes]:
    """The value of one item, and its text without white space between tokens.

    Raises MalformedJSON with the position.
    """
    try:
        value = orjson.loads(item)
        if item.count(b"{") + item.count(b"[") <= MAX_DEPTH:
            written = orjson.dumps(value)
            if written == item or written == _compact(item):
                return value, written
        jiter.from_json(item, catch_duplicate_keys=True, cache_mode="keys")
    except (orjson.JSONDecodeError, ValueError) as error:
        raise MalformedJSON(f"Invalid JSON: {error}.") from None
    return value, _compact(item)


def loads_exact(text: bytes) -> Any:
    """The value of a stored text; its floats keep their digits for `dumps_exact`.

    In a text with more levels than jiter reads, they are rounded to doubles.
    """
    try:
        return jiter.from_json(text, float_mode="lossless-float", cache_mode="keys")
    except ValueError:
        return orjson.loads(text)


def dumps_exact(value: Any) -> bytes:
    """The JSON text of a value of `loads_exact`, with the numbers as they were sent."""
    try:
        return orjson.dumps(value, default=_exact_float)
    except TypeError:  # an integer of more than 64 bits
        return orjson.dumps(_with_exact_integers(value), default=_exact_float)


def _exact_float(value: Any) -> orjson.Fragment:
    if isinstance(value, jiter.LosslessFloat):
        return orjson.Fragment(bytes(value))
    raise TypeError(f"Expected a JSON value, found {type(value).__name__}.")


def _with_exact_integers(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _with_exact_integers(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_with_exact_integers(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return orjson.Fragment(str(value))
    return value


def _compact(item: bytes) -> bytes:
    return msgspec.json.format(item, indent=-1)


def members(item: bytes) -> dict[str, bytes]:
    """The members of an object; each value is its text as sent."""
    return {name: bytes(raw) for name, raw in _members.decode(item).items()}


def join_members(members: Mapping[str, bytes]) -> bytes:
    """The text of an object whose members are JSON texts."""
    return b"{%b}" % b",".join(orjson.dumps(name) + b":" + raw for name, raw in members.items())


def context_activities_as_arrays(text: bytes, statement: dict[str, Any]) -> dict[str, bytes]:
    """Members to replace so that every role of contextActivities is an array.

    xAPI 1.0.3 Data 2.4.6.2 requires arrays in responses. Returns member name -> text; empty when
    the statement has no single context activity. Other bytes are as sent.
    """
    changed = {}
    if _has_single(statement):
        changed["context"] = _arrayed(members(text)["context"])
    target = statement["object"]
    if target.get("objectType") == "SubStatement" and _has_single(target):
        parts = members(members(text)["object"])
        parts["context"] = _arrayed(parts["context"])
        changed["object"] = join_members(parts)
    return changed


def _has_single(statement: dict[str, Any]) -> bool:
    if "context" not in statement:
        return False
    activities = statement["context"].get("contextActivities", {})
    return any(isinstance(value, dict) for value in activities.values())


def _arrayed(context: bytes) -> bytes:
    parts = members(context)
    roles = members(parts["contextActivities"])
    parts["contextActivities"] = join_members(
        {name: raw if raw.startswith(b"[") else b"[%b]" % raw for name, raw in roles.items()}
    )
    return join_members(parts)
