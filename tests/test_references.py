"""References between statements: voiding, and being found by what a target says.

xAPI 1.0.3 Data 2.3.2 (voiding), Communication 2.1.4 (inheritance), in whichever order they arrive.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import asyncpg
import httpx
import pytest
from conftest import new_partner
from support import XAPI, Partner, new_id, prepared, statement

from lrs.api.services import Services
from lrs.app import create_app
from lrs.settings import Settings
from lrs.store.statements import insert as store
from lrs.store.statements import references
from lrs.xapi import index_keys

Json = dict[str, Any]

VOIDED = "http://adlnet.gov/expapi/verbs/voided"
READ = "http://example.com/verbs/read"
THE_END = "http://example.com/the-end"
SAW = "http://example.com/verbs/saw"


def reading(statement_id: str) -> Json:
    return statement(id=statement_id, verb={"id": READ})


def referring(statement_id: str, target: str, verb: str = SAW) -> Json:
    return statement(
        id=statement_id,
        actor={"mbox": "mailto:witness@example.com"},
        verb={"id": verb},
        object={"objectType": "StatementRef", "id": target},
    )


def voiding(statement_id: str, target: str) -> Json:
    return referring(statement_id, target, VOIDED)


async def send(partner: Partner, *sent: Json) -> None:
    """One batch, which must be stored."""
    answer = await partner.send(list(sent))
    assert answer.status_code == 200, answer.text


async def found(partner: Partner, **params: str) -> list[str]:
    return [each["id"] for each in await partner.all(**params)]


async def is_voided(partner: Partner, statement_id: str) -> bool:
    """Voided means: had by voidedStatementId alone, and in no list."""
    plain = (await partner.get(statementId=statement_id)).status_code
    voided = (await partner.get(voidedStatementId=statement_id)).status_code
    assert {plain, voided} == {200, 404}
    assert (statement_id in await found(partner)) == (plain == 200)
    return voided == 200


@pytest.fixture(scope="session")
async def second_http(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of another server on the same database."""
    app = create_app(settings)
    async with (
        app.lifespan(),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app), base_url="http://second.test"
        ) as client,
    ):
        yield client


async def test_voids_a_statement_that_is_there(partner: Partner) -> None:
    read, void = new_id(), new_id()
    await send(partner, reading(read))
    await send(partner, voiding(void, read))
    assert await is_voided(partner, read)
    assert await found(partner) == [void]


async def test_a_browser_asks_again_whether_a_statement_was_voided(partner: Partner) -> None:
    """By its Last-Modified alone, it would take an old one to stay as it is for a while."""
    statement_id = new_id()
    await send(partner, reading(statement_id))
    for path, headers in ((partner.url("statements"), {}), ("/xapi/statements", XAPI)):
        answer = await partner.http.get(
            path, params={"statementId": statement_id}, headers={**partner.headers, **headers}
        )
        assert answer.headers["last-modified"]
        assert answer.headers["cache-control"] == "no-cache"


async def test_voids_a_statement_that_arrives_later(partner: Partner) -> None:
    read, void = new_id(), new_id()
    await send(partner, voiding(void, read))
    assert await found(partner) == [void]
    await send(partner, reading(read))
    assert await is_voided(partner, read)
    assert await found(partner) == [void]


@pytest.mark.parametrize("voiding_first", [False, True])
async def test_voids_a_statement_of_the_same_batch(partner: Partner, voiding_first: bool) -> None:
    read, void = new_id(), new_id()
    batch = [reading(read), voiding(void, read)]
    await send(partner, *(reversed(batch) if voiding_first else batch))
    assert await is_voided(partner, read)
    assert await found(partner, verb=READ) == [void]


async def test_voiding_twice_is_harmless(partner: Partner) -> None:
    read, first, second = new_id(), new_id(), new_id()
    await send(partner, reading(read))
    await send(partner, voiding(first, read))
    await send(partner, voiding(second, read))
    assert await is_voided(partner, read)
    assert await found(partner, verb=READ) == [second, first]


async def test_a_voiding_statement_cannot_be_voided(partner: Partner) -> None:
    read, void, second = new_id(), new_id(), new_id()
    await send(partner, reading(read))
    await send(partner, voiding(void, read))
    await send(partner, voiding(second, void))
    assert await is_voided(partner, read)
    assert not await is_voided(partner, void)
    assert await found(partner) == [second, void]


async def test_a_voided_id_stays_taken(partner: Partner) -> None:
    read = new_id()
    await send(partner, reading(read), voiding(new_id(), read))
    assert (await partner.send(reading(read))).status_code == 409
    assert await is_voided(partner, read)


async def test_another_partners_voiding_voids_nothing(partner: Partner, stranger: Partner) -> None:
    read = new_id()
    await send(partner, reading(read))
    await send(stranger, voiding(new_id(), read))
    assert not await is_voided(partner, read)
    assert await found(stranger, verb=READ) == []


async def test_ids_are_the_same_in_capitals(partner: Partner) -> None:
    read, void = new_id(), new_id()
    await send(partner, voiding(void, read.upper()))
    await send(partner, reading(read))
    assert await is_voided(partner, read)
    assert await found(partner, verb=READ) == [void]


async def test_a_voided_target_is_still_inherited_from(partner: Partner) -> None:
    """XAPI-00162: exactly the reference and the voiding statement, the newest first."""
    read, saw, void = new_id(), new_id(), new_id()
    await send(partner, reading(read))
    await send(partner, referring(saw, read))
    await send(partner, voiding(void, read))
    assert await found(partner, verb=READ) == [void, saw]
    newest = (await partner.get(verb=READ, limit="1")).json()
    assert [each["id"] for each in newest["statements"]] == [void]
    assert newest["more"]


async def test_since_and_until_apply_to_the_referring_statement(partner: Partner) -> None:
    read, saw, void = new_id(), new_id(), new_id()
    stored = []
    for each in (reading(read), referring(saw, read), voiding(void, read)):
        await send(partner, each)
        stored.append((await partner.get(ascending="false")).json()["statements"][0]["stored"])
    assert await found(partner, verb=READ, since=stored[0]) == [void, saw]
    assert await found(partner, verb=READ, since=stored[1]) == [void]
    assert await found(partner, verb=READ, until=stored[1]) == [saw]
    assert await found(partner, verb=READ, until=stored[0]) == []
    assert await found(partner, verb=READ, since=stored[2]) == []


async def test_each_condition_is_met_by_itself_or_by_a_target(partner: Partner) -> None:
    """The witness saw: its own actor, its target's verb and activity."""
    read, saw = new_id(), new_id()
    await send(partner, reading(read), referring(saw, read))
    witness = '{"mbox":"mailto:witness@example.com"}'
    activity = "http://example.com/course/1"
    assert await found(partner, agent=witness, verb=READ, activity=activity) == [saw]
    assert await found(partner, agent=witness, verb=SAW) == [saw]


async def test_a_reference_in_the_context_or_a_substatement_inherits_nothing(
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
    assert await found(partner, verb=READ) == [read]


ORDERS = list(itertools.permutations(range(4)))


def chain(length: int = 4) -> list[Json]:
    """A statement, one that refers to it, one that refers to that, and so on."""
    ids = [new_id() for _ in range(length)]
    return [
        reading(ids[0]),
        *(referring(own, target) for target, own in itertools.pairwise(ids)),
    ]


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: "".join(map(str, order)))
async def test_a_chain_inherits_in_every_order(partner: Partner, order: tuple[int, ...]) -> None:
    sent = chain()
    for count, place in enumerate(order, 1):
        await send(partner, sent[place])
        here = set(order[:count])
        reached = [  # those from which the way down to the first is complete
            sent[place]["id"] for place in order[:count] if here.issuperset(range(place + 1))
        ]
        assert await found(partner, verb=READ, ascending="true") == reached


async def test_a_chain_inherits_in_one_batch(partner: Partner) -> None:
    for order in ORDERS:
        sent = chain()
        await send(partner, *(sent[place] for place in order))
        listed = await found(partner, verb=READ)
        assert {each["id"] for each in sent} <= set(listed)
        assert len(listed) == len(set(listed))


async def test_a_middle_link_is_inherited_while_the_end_is_missing(partner: Partner) -> None:
    ids = [new_id() for _ in range(3)]
    await send(partner, referring(ids[0], new_id()))
    await send(partner, referring(ids[1], ids[0], READ))
    await send(partner, referring(ids[2], ids[1]))
    assert await found(partner, verb=READ) == [ids[2], ids[1]]


async def test_a_statement_may_refer_to_itself(partner: Partner, services: Services) -> None:
    own = new_id()
    await send(partner, referring(own, own))
    assert await found(partner, verb=SAW) == [own]
    assert await unsettled(services, partner) == 0


@pytest.mark.parametrize("length", [2, 3])
@pytest.mark.parametrize("at_once", [False, True])
async def test_a_cycle_inherits_all_of_itself(
    partner: Partner, services: Services, length: int, at_once: bool
) -> None:
    ids = [new_id() for _ in range(length)]
    verbs = [f"http://example.com/verbs/{number}" for number in range(length)]
    sent = [
        referring(own, ids[(number + 1) % length], verbs[number]) for number, own in enumerate(ids)
    ]
    for batch in [sent] if at_once else [[each] for each in sent]:
        await send(partner, *batch)
    for verb in verbs:
        assert sorted(await found(partner, verb=verb)) == sorted(ids)
    assert await unsettled(services, partner) == 0


async def test_many_references_to_one_late_target(partner: Partner) -> None:
    read = new_id()
    batches = [[referring(new_id(), read) for _ in range(20)] for _ in range(3)]
    for batch in batches:
        await send(partner, *batch)
    await send(partner, reading(read))
    assert len(await found(partner, verb=READ)) == 61


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


async def unsettled(services: Services, partner: Partner) -> int:
    """How many of a partner's references still lack something."""
    count: int = await services.database.readers.fetchval(
        "select count(*) from reference where partner_id = $1 and not settled", partner.partner_id
    )
    return count


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
