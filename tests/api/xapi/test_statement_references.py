"""Filters match a statement through the statements it refers to."""

from __future__ import annotations

import itertools

import pytest

from lrs.api.services import Services
from tests.support.partners import Partner
from tests.support.references import (
    READ,
    SAW,
    chain,
    count_pending,
    list_ids,
    reading,
    referring,
    send,
    voiding,
)
from tests.support.statements import new_id, statement


async def test_voided_target_is_still_inherited_from(partner: Partner) -> None:
    """XAPI-00162: exactly the reference and the voiding statement, the newest first."""
    read, saw, void = new_id(), new_id(), new_id()
    await send(partner, reading(read))
    await send(partner, referring(saw, read))
    await send(partner, voiding(void, read))
    assert await list_ids(partner, verb=READ) == [void, saw]
    newest = (await partner.get(verb=READ, limit="1")).json()
    assert [item["id"] for item in newest["statements"]] == [void]
    assert newest["more"]


async def test_since_and_until_apply_to_the_referring_statement(partner: Partner) -> None:
    read, saw, void = new_id(), new_id(), new_id()
    stored = []
    for item in (reading(read), referring(saw, read), voiding(void, read)):
        await send(partner, item)
        stored.append((await partner.get(ascending="false")).json()["statements"][0]["stored"])
    assert await list_ids(partner, verb=READ, since=stored[0]) == [void, saw]
    assert await list_ids(partner, verb=READ, since=stored[1]) == [void]
    assert await list_ids(partner, verb=READ, until=stored[1]) == [saw]
    assert await list_ids(partner, verb=READ, until=stored[0]) == []
    assert await list_ids(partner, verb=READ, since=stored[2]) == []


async def test_each_filter_matches_the_statement_or_a_target(partner: Partner) -> None:
    """Its own actor, and its target's verb and activity."""
    read, saw = new_id(), new_id()
    await send(partner, reading(read), referring(saw, read))
    witness = '{"mbox":"mailto:witness@example.com"}'
    activity = "http://example.com/course/1"
    assert await list_ids(partner, agent=witness, verb=READ, activity=activity) == [saw]
    assert await list_ids(partner, agent=witness, verb=SAW) == [saw]


async def test_reference_in_context_or_substatement_inherits_nothing(
    partner: Partner,
) -> None:
    read, mention, part = new_id(), new_id(), new_id()
    reference = {"objectType": "StatementRef", "id": read}
    inner = {key: value for key, value in referring(read, read).items() if key != "id"}
    await send(
        partner,
        reading(read),
        statement(id=mention, context={"statement": reference}),
        statement(id=part, object={"objectType": "SubStatement", **inner}),
    )
    assert await list_ids(partner, verb=READ) == [read]


ORDERS = list(itertools.permutations(range(4)))


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: "".join(map(str, order)))
async def test_chain_inherits_in_every_arrival_order(
    partner: Partner, order: tuple[int, ...]
) -> None:
    sent = chain()
    for count, position in enumerate(order, 1):
        await send(partner, sent[position])
        arrived = set(order[:count])
        resolved = [  # those with a complete chain down to the first
            sent[position]["id"]
            for position in order[:count]
            if arrived.issuperset(range(position + 1))
        ]
        assert await list_ids(partner, verb=READ, ascending="true") == resolved


async def test_chain_in_one_batch_inherits(partner: Partner) -> None:
    for order in ORDERS:
        sent = chain()
        await send(partner, *(sent[position] for position in order))
        listed = await list_ids(partner, verb=READ)
        assert {item["id"] for item in sent} <= set(listed)
        assert len(listed) == len(set(listed))


async def test_chain_with_a_missing_end_inherits_from_the_middle(partner: Partner) -> None:
    ids = [new_id() for _ in range(3)]
    await send(partner, referring(ids[0], new_id()))
    await send(partner, referring(ids[1], ids[0], READ))
    await send(partner, referring(ids[2], ids[1]))
    assert await list_ids(partner, verb=READ) == [ids[2], ids[1]]


async def test_self_reference_is_resolved(partner: Partner, services: Services) -> None:
    own = new_id()
    await send(partner, referring(own, own))
    assert await list_ids(partner, verb=SAW) == [own]
    assert await count_pending(services, partner) == 0


@pytest.mark.parametrize("length", [2, 3])
@pytest.mark.parametrize("at_once", [False, True])
async def test_cycle_inherits_from_all_of_its_statements(
    partner: Partner, services: Services, length: int, at_once: bool
) -> None:
    ids = [new_id() for _ in range(length)]
    verbs = [f"http://example.com/verbs/{number}" for number in range(length)]
    sent = [
        referring(own, ids[(number + 1) % length], verbs[number]) for number, own in enumerate(ids)
    ]
    for batch in [sent] if at_once else [[item] for item in sent]:
        await send(partner, *batch)
    for verb in verbs:
        assert sorted(await list_ids(partner, verb=verb)) == sorted(ids)
    assert await count_pending(services, partner) == 0


async def test_many_references_to_a_late_target_are_resolved(partner: Partner) -> None:
    read = new_id()
    batches = [[referring(new_id(), read) for _ in range(20)] for _ in range(3)]
    for batch in batches:
        await send(partner, *batch)
    await send(partner, reading(read))
    assert len(await list_ids(partner, verb=READ)) == 61
