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
from lrs.xapi import index_keys
from tests.support.partners import Partner, new_partner
from tests.support.references import (
    READ,
    THE_END,
    Json,
    chain,
    found,
    reading,
    referring,
    send,
    unsettled,
)
from tests.support.statements import new_id, prepared, statement

ORDERS = list(itertools.permutations(range(4)))


# Statements that arrive at the same moment, on two servers


@pytest.fixture
def slow_settling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps transactions open for a while after they have looked for references."""
    settle = references.resolve

    async def settle_slowly(*arguments: Any) -> frozenset[str]:
        settled = await settle(*arguments)
        await asyncio.sleep(0.02)
        return settled

    monkeypatch.setattr(references, "resolve", settle_slowly)


async def race(partners: Iterable[Partner], sent: Iterable[Json]) -> None:
    await asyncio.gather(
        *(send(who, each) for who, each in zip(itertools.cycle(partners), sent, strict=False))
    )


async def test_target_and_reference_at_the_same_moment(
    services: Services, http: httpx.AsyncClient, second_http: httpx.AsyncClient
) -> None:
    here = await new_partner(services, http)
    there = replace(here, http=second_http)
    for number in range(80):
        both = chain(2)
        await race([here, there], both[:: -1 if number % 2 else 1])
        listed = set(await found(there, verb=READ, limit="5"))
        assert listed.issuperset(each["id"] for each in both)


@pytest.mark.usefixtures("slow_settling")
@pytest.mark.parametrize("order", ORDERS, ids=lambda order: "".join(map(str, order)))
async def test_a_whole_chain_at_the_same_moment(
    partner: Partner, second_http: httpx.AsyncClient, order: tuple[int, ...]
) -> None:
    there = replace(partner, http=second_http)
    sent = chain()
    await race([partner, there], (sent[place] for place in order))
    assert sorted(await found(partner, verb=READ)) == sorted(each["id"] for each in sent)


@pytest.mark.usefixtures("slow_settling")
@pytest.mark.parametrize("known", range(4))
async def test_a_chain_is_joined_in_the_middle_at_the_same_moment(
    partner: Partner, services: Services, second_http: httpx.AsyncClient, known: int
) -> None:
    """One link is here already, so that its neighbours see it, but not each other."""
    there = replace(partner, http=second_http)
    sent = chain()
    await send(partner, sent.pop(known))
    await race([partner, there], sent)
    assert len(await found(partner, verb=READ)) == 4
    assert await unsettled(services, partner) == 0


async def test_a_reference_waits_for_a_slow_target(
    partner: Partner, services: Services, slow_writer: asyncpg.Connection
) -> None:
    """A target whose transaction is open when its reference comes is inherited from too."""
    read, saw = new_id(), new_id()
    async with slow_writer.transaction():
        await store.insert_new(slow_writer, partner.partner_id, [prepared(reading(read))])
        pending = asyncio.create_task(send(partner, referring(saw, read)))
        await asyncio.sleep(0.1)
        assert not pending.done()
    await pending
    assert sorted(await found(partner, verb=READ)) == sorted([saw, read])


# Crashes


def cycle_of_two() -> list[Json]:
    one, other = new_id(), new_id()
    return [referring(one, other, READ), referring(other, one)]


@pytest.mark.parametrize(
    "sent", [lambda: chain(2), lambda: chain(4), cycle_of_two], ids=["pair", "chain", "cycle"]
)
async def test_the_sweep_settles_what_a_crash_left(
    partner: Partner,
    services: Services,
    slow_writer: asyncpg.Connection,
    sent: Callable[[], list[Json]],
) -> None:
    left = sent()
    for each in left:  # written, and nothing done about it
        await store.insert_new(slow_writer, partner.partner_id, [prepared(each)])
    count = sum(index_keys.statement_ref(each) is not None for each in left)
    assert await unsettled(services, partner) == count
    assert await references.resolve_pending(services.database) == count
    assert await unsettled(services, partner) == 0
    assert sorted(await found(partner, verb=READ)) == sorted(each["id"] for each in left)
    assert await references.resolve_pending(services.database) == 0


async def test_the_sweep_settles_a_chain_whose_end_is_missing(
    partner: Partner, services: Services, slow_writer: asyncpg.Connection
) -> None:
    target, middle, top = new_id(), new_id(), new_id()
    for each in (referring(middle, target, READ), referring(top, middle)):
        await store.insert_new(slow_writer, partner.partner_id, [prepared(each)])
    assert await references.resolve_pending(services.database) == 0
    assert await found(partner, verb=READ, ascending="true") == [middle, top]
    assert await unsettled(services, partner) == 2
    await send(partner, reading(target))
    assert await unsettled(services, partner) == 0
    assert await found(partner, activity="http://example.com/course/1") == [target, top, middle]


async def test_the_sweep_passes_over_what_lacks_nothing_that_is_here(
    partner: Partner, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There may be many that wait for something, and each sweep would read them all."""
    target, middle, top = new_id(), new_id(), new_id()
    await send(partner, referring(middle, target, READ), referring(top, middle))
    assert await unsettled(services, partner) == 2
    looked_at: list[str] = []

    async def settle(connection: Any, partner_id: int, ids: Iterable[str]) -> frozenset[str]:
        looked_at.extend(ids)
        return frozenset()

    monkeypatch.setattr(references, "resolve", settle)
    await references.resolve_pending(services.database)
    assert {middle, top}.isdisjoint(looked_at)


async def test_a_failure_after_the_commit_is_no_failure_of_the_request(
    partner: Partner, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is stored is told as stored, and the sweep does the rest."""
    read, saw = new_id(), new_id()
    await send(partner, referring(saw, read))

    async def fail(*arguments: Any) -> frozenset[str]:
        raise asyncpg.DeadlockDetectedError("deadlock detected")

    with monkeypatch.context() as patched:
        patched.setattr(references, "resolve", fail)
        await send(partner, reading(read))
    assert await found(partner, verb=READ) == [read]
    assert await references.resolve_pending(services.database) == 1
    assert await found(partner, verb=READ) == [read, saw]


async def test_a_target_that_outlasts_all_patience_is_left_to_the_sweep(
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
    assert await references.resolve_pending(services.database) == 1
    assert sorted(await found(partner, verb=READ)) == sorted([read, saw])


# Long chains


def chain_of(length: int) -> list[Json]:
    """Statements that refer each to the next one; the last is about an activity."""
    ids = [new_id() for _ in range(length)]
    chain = [
        statement(id=each, object={"objectType": "StatementRef", "id": target})
        for each, target in pairwise(ids)
    ]
    return [*chain, statement(id=ids[-1], object={"id": THE_END})]


@pytest.mark.parametrize("order", ["forwards", "backwards"])
async def test_a_chain_is_followed_to_its_end(partner: Partner, order: str) -> None:
    chain = chain_of(700)
    batch = chain if order == "forwards" else chain[::-1]
    assert (await partner.send(batch[:400])).status_code == 200
    assert (await partner.send(batch[400:])).status_code == 200
    found = await partner.all(activity=THE_END)
    assert {each["id"] for each in found} == {each["id"] for each in chain}


async def test_of_a_chain_that_speaks_of_too_much_the_nearest_is_inherited(
    partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an end to it, the links would grow with the square of the chain."""
    monkeypatch.setattr(references, "_MAX_INHERITED_KEYS_PER_CALL", 0)
    chain = chain_of(150)
    for number, each in enumerate(chain):
        each["actor"] = {"mbox": f"mailto:{number}@example.com"}
    assert (await partner.send(chain)).status_code == 200
    nearest = await partner.all(activity=THE_END)
    assert 90 < len(nearest) < 101
    assert {each["id"] for each in nearest} == {each["id"] for each in chain[-len(nearest) :]}


async def test_statements_that_refer_to_each_other_in_a_ring_share_all(partner: Partner) -> None:
    ids = [new_id() for _ in range(3)]
    ring = [
        statement(
            id=each,
            actor={"mbox": f"mailto:{number}@example.com"},
            object={"objectType": "StatementRef", "id": ids[number - 1]},
        )
        for number, each in enumerate(ids)
    ]
    assert (await partner.send(ring)).status_code == 200
    for number in range(3):
        found = await partner.all(agent=f'{{"mbox":"mailto:{number}@example.com"}}')
        assert {each["id"] for each in found} == set(ids)
