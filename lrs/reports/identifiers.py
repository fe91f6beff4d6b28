"""What a learner or a content item may be called where one is asked for: see docs/reporting.md."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lrs.xapi import index_keys, track_events

_NUMBER = re.compile("(id:)?([0-9]{1,10})")
_SHA1 = re.compile("[0-9A-Fa-f]{40}")
_LAST = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Identifier:
    """What a name can mean: a text, link keys (the likeliest first), and an id.

    One that is said to be an id (`id:42`) means nothing else.
    """

    text: str | None
    keys: tuple[int, ...]
    number: int | None


def parse_learner(text: str, home_page: str) -> Identifier:
    """What may be meant by the name of a learner."""
    agents: list[dict[str, Any]] = []
    if text.startswith("mailto:"):
        agents.append({"mbox": text})
    elif "@" in text:
        agents.append({"mbox": f"mailto:{text}"})
    if _SHA1.fullmatch(text):
        agents.append({"mbox_sha1sum": text})
    agents.append({"openid": text})
    agents.append(track_events.identifier(text, home_page))
    return _name(text, filter(None, map(index_keys.agent_key, agents)))


def parse_content(text: str, home_page: str) -> Identifier:
    """What may be meant by the name of a content item."""
    return _name(
        text, map(index_keys.activity_key, (text, track_events.activity_id(text, home_page)))
    )


def _name(text: str, keys: Iterable[int]) -> Identifier:
    found = _NUMBER.fullmatch(text)
    number = int(found[2]) if found and int(found[2]) <= _LAST else None
    if number is not None and text.startswith("id:"):
        return Identifier(None, (), number)
    return Identifier(text, tuple(dict.fromkeys(keys)), number)
