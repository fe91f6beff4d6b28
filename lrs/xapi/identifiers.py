"""The normal form of identifiers: two spellings of one identifier have the same normal form.

Identity, equality and derived ids use the normal form. A statement keeps the text that was sent.
"""

from __future__ import annotations

from typing import Any

_MAILTO = "mailto:"


def normal_mailbox(mbox: str) -> str:
    """A `mailto` IRI with its scheme and the domain in lower case (RFC 3986 3.1, RFC 5321 2.4).

    The local part keeps its case: its owner decides whether case matters.
    """
    if mbox.islower():
        return mbox
    local, _, domain = mbox[len(_MAILTO) :].rpartition("@")
    return f"{_MAILTO}{local}@{domain.lower()}"


def normal_agent(agent: dict[str, Any]) -> dict[str, Any]:
    """The agent with a normal identifier; the same object if it has one already."""
    mbox, sha1sum = agent.get("mbox", ""), agent.get("mbox_sha1sum", "")
    if mbox and not mbox.islower():
        return {**agent, "mbox": normal_mailbox(mbox)}
    if sha1sum and not sha1sum.islower():
        return {**agent, "mbox_sha1sum": sha1sum.lower()}
    return agent
