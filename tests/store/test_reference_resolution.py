"""Resolution of StatementRefs: concurrent writers, crashes, long chains."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import asyncpg
import httpx
import pytest

from lrs.api.services import Services
from lrs.store.statements import insert as store
from lrs.store.statements import references
from lrs.store.statements.reference_backlog import ReferenceBacklog
from lrs.store.statements.reference_chains import Inherited
from lrs.store.statements.references import Resolution
from lrs.xapi import index_keys
from tests.support.partners import Partner, new_partner
from tests.support.references import (
    READ,
    THE_END,
    Json,
    chain,
    count_backlog,
    count_pending,
    list_ids,
    reading,
    referring,
    send,
    work_off_backlog,
)
from tests.support.statements import new_id, prepared, statement

ORDERS = list(itertools.permutations(range(4)))


# Concurrent arrival on two servers


@pytest.fixture
def slow_resolution(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits for a while after each read of chains, in transactions and before them."""
    load = references.load_inherited

    async def load_slowly(*arguments: Any) -> dict[str, Inherited]:
        inherited = await load(*arguments)
        await asyncio.sleep(0.02)
        return inherited

    monkeypatch.setattr(references, "load_inherited", load_slowly)


async def race(partners: Iterable[Partner], sent: Iterable[Json]) -> None:
    await asyncio.gather(
        *(send(client, item) for client, item in zip(itertools.cycle(partners), sent, strict=False))
    )


@pytest.mark.slow
async def test_concurrent_target_and_reference_are_resolved(
    services: Services, http: httpx.AsyncClient, second_http: httpx.AsyncClient
) -> None:
    first = await new_partner(services, http)
    second = replace(first, http=second_http)
    for number in range(30):
        both = chain(2)
        await race([first, second], both[:: -1 if number % 2 else 1])
        listed = set(await list_ids(second, verb=READ, limit="5"))
        assert listed.issuperset(item["id"] for item in both)


@pytest.mark.usefixtures("slow_resolution")
@pytest.mark.parametrize("order", ORDERS, ids=lambda order: "".join(map(str, order)))
async def test_concurrent_chain_is_resolved(
    partner: Partner, second_http: httpx.AsyncClient, order: tuple[int, ...]
) -> None:
    second = replace(partner, http=second_http)
    sent = chain()
    await race([partner, second], (sent[position] for position in order))
    assert sorted(await list_ids(partner, verb=READ)) == sorted(item["id"] for item in sent)


@pytest.mark.usefixtures("slow_resolution")
@pytest.mark.parametrize("stored", range(4))
async def test_concurrent_neighbours_of_a_stored_link_are_resolved(
    partner: Partner, services: Services, second_http: httpx.AsyncClient, stored: int
) -> None:
    """One statement of the chain is stored already: its neighbours see it, but not each other."""
    second = replace(partner, http=second_http)
    sent = chain()
    await send(partner, sent.pop(stored))
    await race([partner, second], sent)
    assert len(await list_ids(partner, verb=READ)) == 4
    assert await count_pending(services, partner) == 0


async def test_reference_waits_for_a_target_in_an_open_transaction(
    partner: Partner, services: Services, slow_writer: asyncpg.Connection
) -> None:
    """A target whose transaction is open when its reference arrives is inherited from too."""
    read, saw = new_id(), new_id()
    async with slow_writer.transaction():
        await store.insert_new(slow_writer, partner.partner_id, [prepared(reading(read))])
        pending = asyncio.create_task(send(partner, referring(saw, read)))
        await asyncio.sleep(0.1)
        assert not pending.done()
    await pending
    assert sorted(await list_ids(partner, verb=READ)) == sorted([saw, read])


# Crashes


def cycle_of_two() -> list[Json]:
    one, other = new_id(), new_id()
    return [referring(one, other, READ), referring(other, one)]


@pytest.mark.parametrize(
    "sent", [lambda: chain(2), lambda: chain(4), cycle_of_two], ids=["pair", "chain", "cycle"]
)
async def test_sweep_resolves_references_left_by_a_crash(
    partner: Partner,
    services: Services,
    slow_writer: asyncpg.Connection,
    sent: Callable[[], list[Json]],
) -> None:
    left = sent()
    for item in left:  # written, and not resolved
        await store.insert_new(slow_writer, partner.partner_id, [prepared(item)])
    count = sum(index_keys.statement_ref(item) is not None for item in left)
    assert await count_pending(services, partner) == count
    await work_off_backlog(services)
    assert await count_pending(services, partner) == 0
    assert await count_backlog(services, partner) == 0
    assert sorted(await list_ids(partner, verb=READ)) == sorted(item["id"] for item in left)


async def test_sweep_resolves_a_chain_with_a_missing_end(
    partner: Partner, services: Services, slow_writer: asyncpg.Connection
) -> None:
    target, middle, top = new_id(), new_id(), new_id()
    for item in (referring(middle, target, READ), referring(top, middle)):
        await store.insert_new(slow_writer, partner.partner_id, [prepared(item)])
    await work_off_backlog(services)
    assert await list_ids(partner, verb=READ, ascending="true") == [middle, top]
    assert await count_pending(services, partner) == 2
    await send(partner, reading(target))
    assert await count_pending(services, partner) == 0
    assert await list_ids(partner, activity="http://example.com/course/1") == [target, top, middle]


async def test_sweep_skips_references_without_a_stored_target(
    partner: Partner, services: Services
) -> None:
    """Many references may be pending, and each sweep would read all of them."""
    target, middle, top = new_id(), new_id(), new_id()
    await send(partner, referring(middle, target, READ), referring(top, middle))
    assert await count_pending(services, partner) == 2
    await ReferenceBacklog(services.database).scan()
    assert await count_backlog(services, partner) == 0


async def test_failure_after_commit_does_not_fail_the_request(
    partner: Partner, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The statement is reported as stored, and the sweep resolves the rest."""
    read, saw = new_id(), new_id()
    await send(partner, referring(saw, read))

    async def fail(*arguments: Any) -> Resolution:
        raise asyncpg.DeadlockDetectedError("deadlock detected")

    with monkeypatch.context() as patched:
        patched.setattr(references, "resolve", fail)
        await send(partner, reading(read))
    assert await list_ids(partner, verb=READ) == [read]
    await work_off_backlog(services)
    assert await list_ids(partner, verb=READ) == [read, saw]


async def test_target_beyond_the_wait_timeout_is_left_to_the_sweep(
    partner: Partner,
    services: Services,
    slow_writer: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(references, "_OPEN_WRITERS_TIMEOUT", 0.05)
    read, saw = new_id(), new_id()
    async with slow_writer.transaction():
        await store.insert_new(slow_writer, partner.partner_id, [prepared(reading(read))])
        await send(partner, referring(saw, read))
    await work_off_backlog(services)
    assert sorted(await list_ids(partner, verb=READ)) == sorted([read, saw])


# Long chains


def chain_of(length: int) -> list[Json]:
    """Statements that refer to the next one; the last is about an activity."""
    ids = [new_id() for _ in range(length)]
    chain = [
        statement(id=item, object={"objectType": "StatementRef", "id": target})
        for item, target in pairwise(ids)
    ]
    return [*chain, statement(id=ids[-1], object={"id": THE_END})]


@pytest.mark.parametrize("order", ["forwards", "backwards"])
async def test_long_chain_is_resolved_to_its_end(partner: Partner, order: str) -> None:
    chain = chain_of(700)
    batch = chain if order == "forwards" else chain[::-1]
    assert (await partner.send(batch[:400])).status_code == 200
    assert (await partner.send(batch[400:])).status_code == 200
    list_ids = await partner.all(activity=THE_END)
    assert {item["id"] for item in list_ids} == {item["id"] for item in chain}


async def test_chain_with_too_many_keys_inherits_the_nearest(partner: Partner) -> None:
    """Without a limit, the index entries would grow with the square of the length."""
    chain = chain_of(150)
    for number, item in enumerate(chain):
        item["actor"] = {"mbox": f"mailto:{number}@example.com"}
    assert (await partner.send(chain)).status_code == 200
    nearest = await partner.all(activity=THE_END)
    assert 90 < len(nearest) < 101
    assert {item["id"] for item in nearest} == {item["id"] for item in chain[-len(nearest) :]}


async def test_statements_in_a_reference_cycle_share_all_keys(partner: Partner) -> None:
    ids = [new_id() for _ in range(3)]
    ring = [
        statement(
            id=item,
            actor={"mbox": f"mailto:{number}@example.com"},
            object={"objectType": "StatementRef", "id": ids[number - 1]},
        )
        for number, item in enumerate(ids)
    ]
    assert (await partner.send(ring)).status_code == 200
    for number in range(3):
        list_ids = await partner.all(agent=f'{{"mbox":"mailto:{number}@example.com"}}')
        assert {item["id"] for item in list_ids} == set(ids)
