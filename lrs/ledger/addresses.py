"""Client addresses of credentials in the last day, for operators who wonder where a key is used.

A credential may be in the browsers of many learners: some addresses are kept, not all.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from lrs.store import addresses as store
from lrs.store.addresses import AddressUse
from lrs.store.postgres import Database

KEPT = timedelta(days=1)
MAX_PER_CREDENTIAL = 100
"""Rows of a credential: the last used addresses."""

_MAX_BUFFERED_PER_CREDENTIAL = 20
_MAX_WRITTEN = 10_000
_REPEAT_SECONDS = 60.0
"""An address in use is written again after this time."""

Key = tuple[int, str]
"""Partner id, and the name of a credential or tool."""


class AddressBuffer:
    """The addresses that one worker has seen since its last write."""

    def __init__(self) -> None:
        self._used: dict[Key, dict[str, float]] = {}
        self._written: dict[tuple[int, str, str], float] = {}

    def add(self, partner_id: int, credential: str, address: str, at: float) -> None:
        """A request of a credential came from an address, at seconds since 1970."""
        key = (partner_id, credential)
        addresses = self._used.get(key)
        if addresses is None:
            addresses = self._used[key] = {}
        if address in addresses or len(addresses) < _MAX_BUFFERED_PER_CREDENTIAL:
            addresses[address] = at

    async def write(self, database: Database) -> None:
        """Writes new addresses, and those in use once a minute. Raises Unavailable."""
        used, self._used = self._used, {}
        if len(self._written) > _MAX_WRITTEN:
            self._written.clear()
        uses = [
            AddressUse(partner_id, credential, address, datetime.fromtimestamp(at, UTC))
            for (partner_id, credential), addresses in used.items()
            for address, at in addresses.items()
            if at - self._written.get((partner_id, credential, address), 0.0) > _REPEAT_SECONDS
        ]
        if not uses:
            return
        await store.upsert(database, uses, MAX_PER_CREDENTIAL)
        for use in uses:
            self._written[use.partner_id, use.credential, use.address] = use.last_at.timestamp()


async def remove_expired(database: Database) -> None:
    """Removes addresses that were last used more than a day ago."""
    await store.delete_before(database, datetime.now(UTC) - KEPT)
