"""Keys as the database holds them: a partner's own, so that indexes of keys need no partner.

Two partners' keys for the same verb or agent differ. That they might be the same for different ones
is as unlikely as that two keys of one partner are: what is found by a key is a place, and the
statement there is looked up among the partner's own, so nobody ever sees another's.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256


@lru_cache(1000)
def salt(partner_id: int) -> int:
    """What a partner's keys are combined with, by XOR; a key combined twice is itself again."""
    return int.from_bytes(sha256(str(partner_id).encode()).digest()[:8], "big", signed=True)
