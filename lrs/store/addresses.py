"""Client addresses of credentials and tools in the last day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from lrs import resources
from lrs.store.postgres import Database, translate_errors

_UPSERT = resources.query("upsert_credential_addresses")
_DELETE_EXCESS = resources.query("delete_excess_credential_addresses")
_DELETE_OLD = resources.query("delete_old_credential_addresses")
_LIST = resources.query("list_credential_addresses")


@dataclass(frozen=True, slots=True)
class AddressUse:
    """When a credential or tool was last used from an address."""

    partner_id: int
    credential: str
    address: str
    last_at: datetime


@dataclass(frozen=True, slots=True)
class CredentialAddress:
    """An address, with the first and last use."""

    address: str
    first_at: datetime
    last_at: datetime


async def upsert(database: Database, uses: Sequence[AddressUse], max_per_credential: int) -> None:
    """Adds to the addresses of credentials, of which the last used ones stay."""
    credentials = sorted({(use.partner_id, use.credential) for use in uses})
    with translate_errors():
        await database.readers.execute(
            _UPSERT,
            [use.partner_id for use in uses],
            [use.credential for use in uses],
            [use.address for use in uses],
            [use.last_at for use in uses],
        )
        await database.readers.execute(
            _DELETE_EXCESS,
            [partner_id for partner_id, _ in credentials],
            [credential for _, credential in credentials],
            max_per_credential,
        )


async def delete_before(database: Database, moment: datetime) -> None:
    with translate_errors():
        await database.readers.execute(_DELETE_OLD, moment)


async def list_addresses(
    database: Database, partner_id: int, credential: str, since: datetime
) -> list[CredentialAddress]:
    """The addresses that were used since a time, the last used one first."""
    with translate_errors():
        rows = await database.readers.fetch(_LIST, partner_id, credential, since)
    return [CredentialAddress(**row) for row in rows]
