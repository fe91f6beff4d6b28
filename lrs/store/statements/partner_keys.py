"""The per-partner salt of index keys.

The database stores every 64-bit index key XORed with the salt of its partner. Two partners' keys of
the same verb or agent differ: an index over keys alone separates partners and needs no `partner_id`
column. Keys of two partners can still collide, as rarely as two keys of one partner. A collision
never exposes a statement: an index entry yields a sequence, and the statement is read by partner
and sequence. The salt is no secret.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256


@lru_cache(1000)
def key_salt(partner_id: int) -> int:
    """The signed 64-bit salt of a partner; `key ^ salt` salts a key and restores a salted one."""
    return int.from_bytes(sha256(str(partner_id).encode()).digest()[:8], "big", signed=True)
