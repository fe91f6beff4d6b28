"""Identifiers of learners and content items in URLs and commands; see docs/learner-records.md."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lrs.xapi import index_keys, track_events

_NUMBER = re.compile("(id:)?([0-9]{1,10})")
_SHA1 = re.compile("[0-9A-Fa-f]{40}")
_MAX_ID = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Identifier:
    """The ways in which a string can identify a learner or a content item.

    text    the operator's id of a learner
    keys    agent keys or activity keys, in the order of precedence
    number  the id in report tables; `id:42` is nothing else
    """

    text: str | None
    keys: tuple[int, ...]
    number: int | None


def parse_learner(text: str, home_page: str, *, folds_case: bool = True) -> Identifier:
    """The identifier of a learner: operator's id, address, SHA-1, OpenID, track user or id.

    With `folds_case`, an address is found in any letter case.
    """
    agents: list[dict[str, Any]] = []
    if "@" in text:
        mbox = text if text.startswith("mailto:") else f"mailto:{text}"
        agents += [{"mbox": mbox}, *([{"mbox": mbox.lower()}] if folds_case else [])]
    elif text.startswith("mailto:"):
        agents.append({"mbox": text})
    if _SHA1.fullmatch(text):
        agents.append({"mbox_sha1sum": text})
    agents.append({"openid": text})
    agents.append(track_events.identifier(text, home_page))
    return _identifier(text, filter(None, map(index_keys.agent_key, agents)))


def parse_identifier(text: str, account_home_page: str | None, home_page: str) -> Identifier:
    """An identifier in statements: as of a learner, or the name of an account on a home page.

    It is never the operator's id or the id in reports.
    """
    if account_home_page is not None:
        account = {"homePage": account_home_page, "name": text}
        key = index_keys.agent_key({"account": account})
        return Identifier(text, (key,) if key is not None else (), None)
    return Identifier(text, parse_learner(text, home_page).keys, None)


def parse_content(text: str, home_page: str) -> Identifier:
    """The identifier of a content item: activity id, `content_id` of track events or id."""
    return _identifier(
        text, map(index_keys.activity_key, (text, track_events.activity_id(text, home_page)))
    )


def _identifier(text: str, keys: Iterable[int]) -> Identifier:
    match = _NUMBER.fullmatch(text)
    number = int(match[2]) if match and int(match[2]) <= _MAX_ID else None
    if number is not None and text.startswith("id:"):
        return Identifier(None, (), number)
    return Identifier(text, tuple(dict.fromkeys(keys)), number)
