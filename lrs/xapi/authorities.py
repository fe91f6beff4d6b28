"""Authorities that this server sets: their JSON text and the index key by which they are found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from lrs.xapi import index_keys


class Authority(NamedTuple):
    """An agent as JSON text, and its index key."""

    text: str
    key: int


def authority_of(agent: Mapping[str, Any]) -> Authority:
    """The authority of an agent. Raises ValueError if it has no identifier."""
    key = index_keys.agent_key(dict(agent))
    if key is None:
        raise ValueError("an authority needs an identifier")
    return Authority(orjson.dumps(agent).decode(), key)


def account_authority(home_page: str, name: str, label: str | None = None) -> Authority:
    """The authority of an account; `label` is the name of the agent."""
    names = {"name": label} if label else {}
    account = {"homePage": home_page, "name": name}
    return authority_of({"objectType": "Agent", **names, "account": account})
