"""How LRSs of this kind name each other, so that no statement is sent back to where it came from.

A pipe names its partner in a header of its requests. The LRS that receives a statement from it
records this origin; a pipe whose target names itself so in its about resource does not send the
statement there. The identity is a hash, which is no secret.
"""

from __future__ import annotations

import re
from hashlib import sha256

from lrs.store.registry import Partner

HEADER = "Lrs-Partner-Id"

_IDENTITY = re.compile("[0-9a-f]{32}")


def of_partner(partner: Partner) -> str:
    """The identity of a partner. Its time of creation distinguishes LRSs with one base URL."""
    text = f"{partner.home_page} {partner.partner_id} {partner.created_at.isoformat()}"
    return sha256(text.encode()).hexdigest()[:32]


def origin_of(identity: str | None) -> str | None:
    """The origin of statements that a pipe of this partner sends; None for another text.

    It is no URL, and no name of a pipe.
    """
    if identity is None or not _IDENTITY.fullmatch(identity):
        return None
    return f"lrs:{identity}"
