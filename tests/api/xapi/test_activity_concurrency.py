"""Concurrent definitions of the same activities, on one and two servers."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator

import msgspec
import orjson
import pytest

from lrs.api.services import Services
from lrs.ingest.group_commit import GroupCommit
from lrs.settings import Settings
from tests.support.app import serving
from tests.support.entities import ACTIVITY, LEARNER, defining, definition, names, send, send_batch
from tests.support.partners import Partner
from tests.support.statements import new_id, prepared, statement


async def test_concurrent_definitions_are_all_merged(partner: Partner) -> None:
    """In every order: writers with different lock orders would deadlock."""
    ids = [f"{ACTIVITY}/{number}" for number in range(8)]

    async def tell(writer: int) -> None:
        ordered = ids if writer % 2 else ids[::-1]
        batch = [
            defining(item, name={f"x-{writer}": str(writer)}, type=f"http://example.com/{writer}")
            for item in ordered
        ]
        for item in batch:
            item["actor"] = {**LEARNER, "name": f"Name {writer:02}"}
        await send_batch(partner, *batch)

    await asyncio.gather(*map(tell, range(40)))
    for item in ids:
        result = await definition(partner, item)
        assert result["name"] == {f"x-{writer}": str(writer) for writer in range(40)}
        assert result["type"].startswith("http://example.com/")
    assert await names(partner, LEARNER) == [f"Name {writer:02}" for writer in range(40)]


@pytest.fixture
async def other_server(settings: Settings, partner: Partner) -> AsyncIterator[Partner]:
    """The same partner on another server of the same database."""
    async with serving(settings) as http:
        yield Partner(
            http,
            partner.name,
            partner.partner_id,
            partner.home_page,
            partner.key,
            partner.secret,
            headers=partner.headers,
        )


async def test_definitions_from_two_servers_are_merged(
    partner: Partner, other_server: Partner
) -> None:
    ids = [f"{ACTIVITY}/{number}" for number in range(5)]

    async def tell(client: Partner, writer: int) -> None:
        order = ids[writer % 5 :] + ids[: writer % 5]
        batch = [defining(item, name={f"x-{writer}": str(writer)}) for item in order]
        await send_batch(client, *batch)

    servers = itertools.cycle([partner, other_server])
    await asyncio.gather(*(tell(next(servers), writer) for writer in range(30)))
    for item in ids:
        result = await definition(other_server, item)
        assert result["name"] == {f"x-{writer}": str(writer) for writer in range(30)}


async def test_cached_definition_does_not_undo_an_update_of_another_server(
    partner: Partner, other_server: Partner
) -> None:
    old, new = "http://example.com/old", "http://example.com/new"
    await send(partner, defining(name={"en": "Old", "fr": "Un"}, type=old))
    await send(other_server, defining(name={"en": "New"}, type=new))
    await send(partner, defining(name={"de": "Neu"}))
    assert await definition(partner) == {
        "name": {"en": "New", "fr": "Un", "de": "Neu"},
        "type": new,
    }


@pytest.mark.parametrize(("seconds", "name"), [(60.0, "New"), (0.0, "Old")])
async def test_cached_definition_expires(
    partner: Partner, services: Services, seconds: float, name: str
) -> None:
    """Until then a repeated definition is not written, even if another server changed it since."""
    one, other = (GroupCommit(services.database, definition_ttl_seconds=seconds) for _ in range(2))
    for server, text in ((one, "Old"), (other, "New"), (one, "Old")):
        row = msgspec.structs.replace(
            prepared(statement(id=new_id())),
            definitions=[(ACTIVITY, (orjson.dumps({"name": {"en": text}}),))],
        )
        await server.submit(partner.partner_id, [row], atomic=False)
    assert await definition(partner) == {"name": {"en": name}}
