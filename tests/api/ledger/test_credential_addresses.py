"""Client addresses of credentials: listed for a day, bounded, hidden from viewers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx

from lrs.api.services import Services
from lrs.ledger import addresses
from lrs.ledger.addresses import MAX_PER_CREDENTIAL, AddressBuffer
from lrs.store import addresses as store
from tests.support.operators import operator_headers
from tests.support.partners import Partner
from tests.support.statements import statement


async def listed(services: Services, partner: Partner) -> set[str]:
    since = datetime.now(UTC) - timedelta(days=1)
    rows = await store.list_addresses(services.database, partner.partner_id, partner.key, since)
    return {row.address for row in rows}


async def test_addresses_of_a_credential_are_listed_for_operators(
    services: Services, partner: Partner, stranger: Partner, http: httpx.AsyncClient
) -> None:
    await partner.send(statement())
    await services.ledger.write()
    path = f"/v1/admin/partners/{partner.name}/credentials/{partner.key}/addresses"
    answer = await http.get(path, headers=await operator_headers(services, "operator"))
    assert [item["address"] for item in answer.json()["addresses"]] == ["127.0.0.1"]
    page = f"/console/partners/{partner.name}/credentials/{partner.key}"
    shown = await http.get(page, headers=await operator_headers(services, "operator"))
    assert "127.0.0.1" in shown.text
    viewer = await operator_headers(services, "viewer")
    assert (await http.get(path, headers=viewer)).status_code == 403
    assert "127.0.0.1" not in (await http.get(page, headers=viewer)).text
    other = await operator_headers(services, "owner", [stranger.name])
    assert (await http.get(path, headers=other)).status_code == 404


async def test_addresses_of_a_credential_in_many_browsers_are_bounded(
    services: Services, partner: Partner
) -> None:
    buffer, now = AddressBuffer(), datetime.now(UTC).timestamp()
    for number in range(300):
        buffer.add(partner.partner_id, partner.key, f"10.0.{number // 250}.{number}", now + number)
        if number % 10 == 9:
            await buffer.write(services.database)
    assert len(await listed(services, partner)) == MAX_PER_CREDENTIAL
    assert "10.0.1.299" in await listed(services, partner)


async def test_address_in_use_is_written_once_a_minute(
    services: Services, partner: Partner
) -> None:
    buffer, now = AddressBuffer(), datetime.now(UTC).timestamp()
    lasts = []
    for at in (now, now + 30, now + 90):
        buffer.add(partner.partner_id, partner.key, "10.0.0.1", at)
        await buffer.write(services.database)
        rows = await store.list_addresses(
            services.database, partner.partner_id, partner.key, datetime.fromtimestamp(0, UTC)
        )
        # Beside it may be the address from which the partner requested its token.
        (last_at,) = (row.last_at for row in rows if row.address == "10.0.0.1")
        lasts.append(round(last_at.timestamp() - now))
    assert lasts == [0, 0, 90]


async def test_address_is_removed_after_a_day(services: Services, partner: Partner) -> None:
    buffer = AddressBuffer()
    old = (datetime.now(UTC) - timedelta(days=1, minutes=1)).timestamp()
    buffer.add(partner.partner_id, partner.key, "10.0.0.1", old)
    await buffer.write(services.database)
    await addresses.remove_expired(services.database)
    since = datetime.fromtimestamp(0, UTC)
    rows = await store.list_addresses(services.database, partner.partner_id, partner.key, since)
    assert "10.0.0.1" not in {row.address for row in rows}
