"""What the use cases of administration have in common: pages, cursors, versions, changes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

import msgspec

from lrs import cursors
from lrs.errors import InvalidParameter, PreconditionFailed, Violation

Item = TypeVar("Item")
Position = TypeVar("Position")


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """A part of a list; `cursor` is where the next one begins, None on the last page."""

    items: list[Item]
    cursor: str | None


def page(rows: list[Item], limit: int, position: Callable[[Item], tuple[Any, ...]]) -> Page[Item]:
    """The page of `limit` items, from rows that are one more if there is another page."""
    if len(rows) <= limit:
        return Page(rows, None)
    rows = rows[:limit]
    return Page(rows, cursors.encode(position(rows[-1])))


def decode_cursor(cursor: str, position: type[Position]) -> Position:
    """The position of a cursor. Raises InvalidParameter."""
    try:
        value = cursors.decode(cursor, position)
        if not all(map(_is_storable, value)):  # type: ignore[call-overload]
            raise ValueError(value)
    except ValueError:
        detail = "must be a cursor from `more`, unchanged"
        raise InvalidParameter(
            f"cursor {detail}.", violations=[Violation("cursor", detail, "Admin API")]
        ) from None
    return value


def _is_storable(part: object) -> bool:
    """Whether PostgreSQL takes a part of a cursor that a client has changed."""
    if isinstance(part, str):
        return "\0" not in part
    if isinstance(part, datetime):
        return part.tzinfo is not None and 1 < part.year < 9999
    return not isinstance(part, int) or abs(part) < 2**63


def version(view: object) -> str:
    """The entity tag of a view: it differs when any member does."""
    return f'"{hashlib.sha256(msgspec.json.encode(view)).hexdigest()[:32]}"'


def require_version(view: object, expected: Collection[str] | None) -> None:
    """Raises PreconditionFailed unless the view has one of the entity tags; None: any."""
    if expected is not None and "*" not in expected and version(view) not in expected:
        raise PreconditionFailed("The object has changed since it was read: read it again.")


def difference(before: object, after: object) -> tuple[dict[str, Any], dict[str, Any]]:
    """The members of two views that differ, before and after, for an audit entry."""
    old: Mapping[str, Any] = msgspec.to_builtins(before)
    new: Mapping[str, Any] = msgspec.to_builtins(after)
    names = [name for name in new if old.get(name) != new[name]]
    return {name: old.get(name) for name in names}, {name: new[name] for name in names}
