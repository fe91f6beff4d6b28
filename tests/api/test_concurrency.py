"""Concurrent senders, and two instances on one database."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest

from lrs.api.services import Services
from lrs.app import create_app
from lrs.bootstrap.access_tokens import load_keys
from lrs.settings import Settings
from lrs.store import migrations, signing_keys
from lrs.store.postgres import open_database
from lrs.store.signing_keys import SigningKey
from tests.support.partners import Partner, new_partner
from tests.support.statements import XAPI, new_id, statement


@pytest.fixture(scope="module")
async def instances(settings: Settings) -> AsyncIterator[list[tuple[httpx.AsyncClient, Services]]]:
    """Two instances of the service on one database."""
    async with AsyncExitStack() as stack:
        result = []
        for _ in range(2):
            app = create_app(settings)
            await stack.enter_async_context(app.lifespan())
            client = httpx.AsyncClient(
                transport=httpx.ASGITransport(app=app), base_url="http://lrs.test"
            )
            result.append((await stack.enter_async_context(client), app.services))
        yield result


@pytest.fixture
async def senders(instances: list[tuple[httpx.AsyncClient, Services]]) -> list[Partner]:
    """Clients of one partner, one per instance."""
    (http, services), (other, _) = instances
    first = await new_partner(services, http)
    second = Partner(
        other,
        first.name,
        first.partner_id,
        first.home_page,
        first.key,
        first.secret,
        first.token,
        first.headers,
    )
    return [first, second]


async def at_once(calls: Any) -> list[httpx.Response]:
    return list(await asyncio.gather(*calls))


async def stored(partner: Partner) -> Counter[str]:
    return Counter(item["id"] for item in await partner.all())


@pytest.mark.slow
async def test_concurrent_duplicates_are_deduplicated_and_reported_stored_once(
    senders: list[Partner],
) -> None:
    sent = [statement(id=new_id()) for _ in range(20)]
    calls = [senders[number % 2].send(item) for number in range(8) for item in sent]
    random.shuffle(calls)
    answers = await at_once(calls)
    assert Counter(answer.status_code for answer in answers) == {200: 20, 409: 140}
    assert {a.json()["code"] for a in answers if a.status_code == 409} == {"duplicate"}
    reported = Counter(answer.json()[0] for answer in answers if answer.status_code == 200)
    assert reported == await stored(senders[0]) == Counter(item["id"] for item in sent)


async def test_one_of_concurrent_conflicting_statements_is_stored(
    senders: list[Partner],
) -> None:
    for _ in range(5):
        statement_id = new_id()
        bodies = [
            statement(id=statement_id, object={"id": f"http://example.com/{number}"})
            for number in range(12)
        ]
        answers = await at_once(
            senders[number % 2].send(body) for number, body in enumerate(bodies)
        )
        (winner,) = [number for number, answer in enumerate(answers) if answer.status_code == 200]
        losers = [answer for number, answer in enumerate(answers) if number != winner]
        assert {answer.json()["code"] for answer in losers} == {"statement-conflict"}
        for answer in losers:
            assert [error["pointer"] for error in answer.json()["errors"]] == ["/object/id"]
        result = (await senders[1].get(statementId=statement_id)).json()
        assert result["object"] == bodies[winner]["object"]


async def test_overlapping_batches_in_any_order_do_not_deadlock(senders: list[Partner]) -> None:
    sent = [statement(id=new_id()) for _ in range(60)]
    batches = [random.sample(sent, 40) for _ in range(24)]
    answers = await at_once(senders[number % 2].send(batch) for number, batch in enumerate(batches))
    reported: Counter[str] = Counter()
    for batch, answer in zip(batches, answers, strict=True):
        if answer.status_code == 200:
            reported.update(answer.json())
            continue
        assert answer.status_code in (207, 409)
        results = answer.json()["results"]
        assert [result["id"] for result in results] == [item["id"] for item in batch]
        assert {result["outcome"] for result in results} <= {"stored", "duplicate"}
        reported.update(r["id"] for r in results if r["outcome"] == "stored")
    assert set(reported.values()) == {1}
    assert reported == await stored(senders[0])


async def test_overlapping_atomic_batches_are_all_accepted(senders: list[Partner]) -> None:
    sent = [statement(id=new_id()) for _ in range(40)]
    batches = [random.sample(sent, 25) for _ in range(16)]
    answers = await at_once(senders[number % 2].xapi(batch) for number, batch in enumerate(batches))
    assert {answer.status_code for answer in answers} == {200}
    union = {item["id"] for batch in batches for item in batch}
    assert await stored(senders[0]) == Counter(union)


async def test_refused_atomic_batch_affects_no_other_batch(senders: list[Partner]) -> None:
    existing = statement(id=new_id())
    await senders[0].send(existing)
    conflicting = {**existing, "verb": {"id": "http://example.com/other"}}
    good = [[statement(id=new_id()) for _ in range(3)] for _ in range(12)]
    bad = [[statement(id=new_id()), conflicting, statement(id=new_id())] for _ in range(6)]
    calls = []
    for number, batch in enumerate([*good, *bad]):
        sender = senders[number % 2]
        calls.append(sender.xapi(batch) if number % 3 else sender.send(batch))
    kinds = ["xapi" if number % 3 else "partner" for number in range(len(calls))]
    answers = await at_once(calls)
    expected = {existing["id"], *(item["id"] for batch in good for item in batch)}
    for number, answer in enumerate(answers[: len(good)]):
        assert answer.status_code == 200, (number, answer.text)
    for kind, batch, answer in zip(kinds[len(good) :], bad, answers[len(good) :], strict=True):
        if kind == "xapi":
            assert answer.status_code == 409
        else:
            assert answer.status_code == 207
            expected |= {batch[0]["id"], batch[2]["id"]}
    assert await stored(senders[0]) == Counter(expected)
    result = (await senders[0].get(statementId=existing["id"])).json()
    assert result["verb"] == existing["verb"]


async def test_one_of_two_contradicting_atomic_batches_is_stored(senders: list[Partner]) -> None:
    """One of them is stored as a whole, the other not at all."""
    for _ in range(6):
        shared = new_id()
        batches = [
            [
                statement(id=new_id()),
                statement(id=shared, object={"id": f"http://example.com/{number}"}),
                statement(id=new_id()),
            ]
            for number in range(4)
        ]
        before = await stored(senders[0])
        answers = await at_once(
            senders[number % 2].xapi(batch) for number, batch in enumerate(batches)
        )
        assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
        (winner,) = [n for n, answer in enumerate(answers) if answer.status_code == 200]
        added = await stored(senders[0]) - before
        assert added == Counter(item["id"] for item in batches[winner])


async def test_disconnected_client_does_not_affect_others(senders: list[Partner]) -> None:
    sent = [[statement(id=new_id()) for _ in range(3)] for _ in range(30)]
    tasks = [
        asyncio.create_task(senders[number % 2].send(batch)) for number, batch in enumerate(sent)
    ]
    leaving = tasks[::3]
    for task in leaving:
        await asyncio.sleep(0)
        task.cancel()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    for task, result in zip(tasks, done, strict=True):
        if isinstance(result, BaseException):
            assert task in leaving
            assert isinstance(result, asyncio.CancelledError)
        else:
            assert result.status_code == 200
    actual = await stored(senders[0])
    assert set(actual.values()) == {1}
    for batch, result in zip(sent, done, strict=True):
        remaining = [item["id"] in actual for item in batch]
        assert all(remaining) or (isinstance(result, BaseException) and not any(remaining))


async def test_concurrent_statement_and_reference_are_resolved(
    senders: list[Partner],
) -> None:
    """The references match their target's agent, in any order of transactions."""
    pairs = [(new_id(), new_id()) for _ in range(12)]
    agent = {"mbox": "mailto:target@example.com"}
    calls = []
    for number, (target, referring) in enumerate(pairs):
        reference = {"objectType": "StatementRef", "id": target}
        both = [
            (0, statement(id=target, actor=agent)),
            (1, statement(id=referring, object=reference)),
        ]
        if number % 2:
            both.reverse()
        calls += [senders[index].send(body) for index, body in both]
    answers = await at_once(calls)
    assert {answer.status_code for answer in answers} == {200}
    result = await senders[0].all(agent='{"mbox":"mailto:target@example.com"}')
    assert {item["id"] for item in result} == {item for pair in pairs for item in pair}


async def test_concurrent_polling_misses_and_repeats_nothing(
    senders: list[Partner],
) -> None:
    """A consumer that polls since the last watermark receives each statement once."""
    seen: list[str] = []
    finished = asyncio.Event()

    async def consume() -> None:
        since = "2001-01-01T00:00:00Z"
        while True:
            last = finished.is_set()
            answer = await senders[1].get(since=since, ascending="true")
            assert answer.status_code == 200
            bound = answer.headers["x-experience-api-consistent-through"]
            while True:
                seen.extend(item["id"] for item in answer.json()["statements"])
                if not answer.json()["more"]:
                    break
                answer = await senders[1].http.get(
                    answer.json()["more"], headers=senders[1].headers
                )
            since = bound
            if last:
                return

    consumer = asyncio.create_task(consume())
    ids = []
    for _ in range(10):
        answers = await at_once(
            senders[number % 2].send([statement(), statement()]) for number in range(10)
        )
        ids += [item for answer in answers for item in answer.json()]
    finished.set()
    await consumer
    assert Counter(seen) == Counter(ids)


@pytest.fixture
async def new_database(database_url: str) -> AsyncIterator[str]:
    """A database with the schema created by four instances that start concurrently."""
    name = f"together_{new_id()[:8]}"
    connection = await asyncpg.connect(database_url)
    await connection.execute(f"create database {name}")
    dsn = urlsplit(database_url)._replace(path=f"/{name}").geturl()
    await asyncio.gather(*(migrations.migrate(dsn) for _ in range(4)))
    yield dsn
    await connection.execute(f"drop database {name}")
    await connection.close()


@pytest.mark.slow
async def test_instances_started_concurrently_share_one_signing_key(
    settings: Settings, new_database: str
) -> None:
    own = replace(settings, database_url=new_database)

    async def keys() -> Any:
        async with open_database(new_database) as database:
            tokens = await load_keys(own, database)
            return tokens.signing_keys.public_keys()["keys"]

    result = await asyncio.gather(*(keys() for _ in range(4)))
    assert [key["kid"] for item in result for key in item] == [result[0][0]["kid"]] * 4


@pytest.mark.slow
async def test_one_of_concurrently_added_keys_is_kept(new_database: str) -> None:
    async with open_database(new_database) as database:
        keys = [SigningKey(new_id(), "sealed", "{}") for _ in range(8)]
        await asyncio.gather(*(signing_keys.add_first_key(database, key) for key in keys))
        assert len(await signing_keys.list_active_keys(database, 0)) == 1


async def test_basic_credential_works_on_both_instances(
    senders: list[Partner],
) -> None:
    answers = await at_once(
        sender.http.post(
            "/xapi/statements", json=statement(), headers=XAPI, auth=(sender.key, sender.secret)
        )
        for sender in senders * 10
    )
    assert {answer.status_code for answer in answers} == {200}
