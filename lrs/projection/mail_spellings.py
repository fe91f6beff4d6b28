"""Spellings of a mail address: identities that belong to one learner.

xAPI compares local parts exactly. Most mail systems do not, and systems of human resources differ
from learning systems: unless the partner's setting says otherwise, learners are grouped by the
address in lower case (`folded`).
"""

from __future__ import annotations

from typing import NamedTuple

from lrs.projection.events import agent_key
from lrs.xapi.index_keys import mbox_sha1sum_identity

MBOX = "mbox mailto:"


class Spelling(NamedTuple):
    """An identity that belongs to the person of an address.

    `folded_key` is the agent key of the address in lower case if this is another spelling, or its
    SHA-1, else None.
    """

    agent_key: int
    identity: str
    folded_key: int | None


def folded(identity: str) -> str:
    """The identity of the address in lower case; other identities are returned as they are."""
    return identity.lower() if identity.startswith(MBOX) else identity


def spellings(identity: str, *, folds_case: bool) -> list[Spelling]:
    """The identities that belong to the person of this one, this one first.

    Of an address: its SHA-1 and, with `folds_case`, the address in lower case and its SHA-1.
    """
    own_key = agent_key(identity)
    if not identity.startswith(MBOX):
        return [Spelling(own_key, identity, None)]
    root = folded(identity) if folds_case else identity
    root_key = agent_key(root)
    others = [Spelling(root_key, root, None), _sha1(root, None)] if root != identity else []
    folded_key = root_key if others else None
    return [Spelling(own_key, identity, folded_key), *others, _sha1(identity, folded_key)]


def _sha1(identity: str, folded_key: int | None) -> Spelling:
    sha1 = mbox_sha1sum_identity(identity)
    return Spelling(agent_key(sha1), sha1, folded_key)
