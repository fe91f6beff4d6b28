"""Pages and polls while others write: nothing is skipped, nothing comes twice, no bound lies."""

from __future__ import annotations

import asyncio
import itertools
import random
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import asyncpg
import httpx
import msgspec
import pytest
from support import XAPI, Partner, new_id, prepared, statement

from lrs.api.services import Services
from lrs.app import create_app
from lrs.settings import Settings
from lrs.store.postgres import WRITER
from lrs.store.statements import insert as store
from lrs.store.statements import watermark

Json = dict[str, Any]

THROUGH = "X-Experience-API-Consistent-Through"
HEADER_FORM = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def bound(answer: httpx.Response) -> datetime:
    return datetime.fromisoformat(answer.headers[THROUGH])


def stored(each: Json) -> datetime:
    return datetime.fromisoformat(each["stored"])


@asynccontextmanager
async def another_server(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(settings)
    transport = httpx.ASGITransport(app=app)
    async with (
        app.lifespan(),
        httpx.AsyncClient(transport=transport, base_url="http://second.test") as client,
    ):
        yield client


@pytest.fixture(scope="session")
async def second_http(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of another server on the same database."""
    async with another_server(settings) as client:
        yield client


def fresh(count: int) -> list[Json]:
    return [statement(id=new_id()) for _ in range(count)]


async def send(partner: Partner, batch: Sequence[Json]) -> None:
    answer = await partner.send(batch)
    assert answer.status_code == 200, answer.text


@dataclass
class Writers:
    """Clients of two servers that send batches of all sizes, and one that is slow to commit."""

    partner: Partner
    others: list[Partner]
    slow: asyncpg.Connection
    acknowledged: set[str] = field(default_factory=set)
    stop: bool = False

    async def client(self, partner: Partner, seed: int) -> None:
        draw = random.Random(seed)
        while not self.stop:
            batch = fresh(draw.choice([1, 1, 1, 2, 10, 60]))
            await send(partner, batch)
            self.acknowledged.update(each["id"] for each in batch)
            await asyncio.sleep(draw.random() * 0.01)

    async def slowly(self) -> None:
        draw = random.Random(0)
        while not self.stop:
            batch = fresh(draw.choice([1, 5]))
            async with self.slow.transaction():
                await asyncio.sleep(draw.random() * 0.03)
                await store.insert_new(
                    self.slow, self.partner.partner_id, list(map(prepared, batch))
                )
                await asyncio.sleep(draw.random() * 0.12)
            self.acknowledged.update(each["id"] for each in batch)
            await asyncio.sleep(draw.random() * 0.03)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        clients = [self.partner, *self.others] * 2
        async with asyncio.TaskGroup() as group:
            group.create_task(self.slowly())
            for seed, client in enumerate(clients):
                group.create_task(self.client(client, seed))
            try:
                yield
            finally:
                self.stop = True


@pytest.fixture
def writers(
    partner: Partner, second_http: httpx.AsyncClient, slow_writer: asyncpg.Connection
) -> Writers:
    return Writers(partner, [replace(partner, http=second_http)], slow_writer)


async def pages(partner: Partner, **params: str) -> AsyncIterator[httpx.Response]:
    """The pages of a list, each asked for when it is wanted."""
    answer = await partner.get(**params)
    while True:
        assert answer.status_code == 200, answer.text
        yield answer
        if not answer.json()["more"]:
            return
        answer = await partner.http.get(answer.json()["more"], headers=partner.headers)


# While others write


@pytest.mark.parametrize("ascending", ["false", "true"])
@pytest.mark.parametrize("limit", ["7", "50"])
async def test_more_neither_skips_nor_repeats_while_others_write(
    writers: Writers, ascending: str, limit: str
) -> None:
    partner = writers.partner
    await send(partner, fresh(40))
    async with writers.writing():
        await asyncio.sleep(0.2)
        before = set(writers.acknowledged)
        seen: list[Json] = []
        through = None
        async for answer in pages(partner, ascending=ascending, limit=limit):
            seen += answer.json()["statements"]
            through = through or bound(answer)
            assert bound(answer) == through
    order = [stored(each) for each in seen]
    assert order == sorted(order, reverse=ascending == "false")
    assert len({each["id"] for each in seen}) == len(seen)
    everything = {each["id"]: each for each in await partner.all()}
    assert before <= everything.keys()
    expected = {key for key, each in everything.items() if stored(each) <= through}
    assert {each["id"] for each in seen} == expected


@dataclass
class Poller:
    """A consumer that keeps nothing but the last bound."""

    partner: Partner
    params: dict[str, str]
    since: str | None = None
    seen: Counter[str] = field(default_factory=Counter)

    async def poll(self) -> None:
        since = {"since": self.since} if self.since else {}
        async for answer in pages(self.partner, **self.params, **since):
            for each in answer.json()["statements"]:
                assert stored(each) <= bound(answer)
                self.seen[each["id"]] += 1
            self.since = answer.headers[THROUGH]


async def test_pollers_see_everything_exactly_once(
    writers: Writers, second_http: httpx.AsyncClient
) -> None:
    """In either order, from one server or from both in turn."""
    here, there = writers.partner, replace(writers.partner, http=second_http)
    pollers = [
        Poller(here, {"ascending": "true", "limit": "20"}),
        Poller(there, {"ascending": "true"}),
        Poller(here, {"limit": "20"}),
        Poller(there, {"agent": '{"mbox":"mailto:learner@example.com"}', "limit": "33"}),
    ]

    async def keep_polling(poller: Poller) -> None:
        while not writers.stop:
            await poller.poll()
            if poller is pollers[1]:
                poller.partner = random.choice([here, there])

    async with writers.writing():
        polling = asyncio.gather(*map(keep_polling, pollers))
        await asyncio.sleep(3)
    await polling
    for poller in pollers:
        await poller.poll()
        assert set(poller.seen) == writers.acknowledged
        assert set(poller.seen.values()) == {1}


async def test_what_was_acknowledged_is_listed(
    writers: Writers, second_http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By either server, at once, whoever else is writing (as long as nobody is stuck)."""
    monkeypatch.setattr(
        watermark, "_OPEN_WRITERS_TIMEOUT", 10
    )  # a busy machine does not make anybody stuck
    here, there = writers.partner, replace(writers.partner, http=second_http)

    async def write_and_read(number: int) -> None:
        writer, reader = (here, there) if number % 2 else (there, here)
        for _ in range(8):
            verb = f"http://example.com/verbs/{new_id()}"
            await send(writer, [statement(verb={"id": verb})])
            assert len((await reader.get(verb=verb)).json()["statements"]) == 1

    async with writers.writing():
        await asyncio.gather(*map(write_and_read, range(6)))


async def test_no_bound_is_ever_overtaken(writers: Writers, second_http: httpx.AsyncClient) -> None:
    """Not one of the headers given out was at or past a statement that appeared later."""
    here, there = writers.partner, replace(writers.partner, http=second_http)
    promised: list[tuple[datetime, set[str]]] = []

    async def read(partner: Partner) -> None:
        while not writers.stop:
            early = await partner.get(statementId=new_id())  # a 404 makes the same promise
            listed = {each["id"] for each in await partner.all()}
            promised.append((bound(early), listed))

    async with writers.writing():
        reading = asyncio.gather(read(here), read(there))
        await asyncio.sleep(1)
    await reading
    everything = await here.all()
    assert promised
    for through, listed in promised:
        assert listed.issuperset(each["id"] for each in everything if stored(each) <= through)


# A transaction that is stuck


async def test_a_list_does_not_wait_for_ever(
    partner: Partner, slow_writer: asyncpg.Connection
) -> None:
    """The bound lies before the open transaction, and so does all that is listed."""
    await send(partner, early := fresh(1))
    (late,) = fresh(1)
    async with slow_writer.transaction():
        await store.insert_new(slow_writer, partner.partner_id, [prepared(late)])
        await send(partner, meanwhile := fresh(1))
        began = asyncio.get_running_loop().time()
        answer = await partner.get()
        assert asyncio.get_running_loop().time() - began < 1
        assert [each["id"] for each in answer.json()["statements"]] == [early[0]["id"]]
        through = answer.headers[THROUGH]
    rest = await partner.all(since=through, ascending="true")
    assert {each["id"] for each in rest} == {late["id"], meanwhile[0]["id"]}
    assert min(map(stored, rest)) > datetime.fromisoformat(through)


async def test_a_list_waits_for_a_transaction_that_is_about_to_end(
    partner: Partner, slow_writer: asyncpg.Connection
) -> None:
    (late,) = fresh(1)
    transaction = slow_writer.transaction()
    await transaction.start()
    await store.insert_new(slow_writer, partner.partner_id, [prepared(late)])
    asking = asyncio.create_task(partner.get())
    await asyncio.sleep(0.08)
    assert not asking.done()
    await transaction.commit()
    answer = await asking
    assert [each["id"] for each in answer.json()["statements"]] == [late["id"]]


async def test_a_transaction_that_is_undone_holds_nothing_back(
    partner: Partner, slow_writer: asyncpg.Connection
) -> None:
    transaction = slow_writer.transaction()
    await transaction.start()
    await store.insert_new(slow_writer, partner.partner_id, [prepared(fresh(1)[0])])
    await transaction.rollback()
    await send(partner, sent := fresh(1))
    assert [each["id"] for each in await partner.all()] == [sent[0]["id"]]


async def end(connection: asyncpg.Connection, services: Services) -> None:
    """Closes a connection, and waits until the server has seen it."""
    if connection.is_closed():
        return
    pid = connection.get_server_pid()
    await connection.close()
    alive = "select exists (select from pg_stat_activity where pid = $1)"
    for _ in range(500):
        if not await services.database.readers.fetchval(alive, pid):
            return
        await asyncio.sleep(0.01)


@pytest.fixture
async def other_role(database_url: str, services: Services) -> AsyncIterator[asyncpg.Connection]:
    """A writer that connects as another role, which ours may not look at."""
    try:
        connection = await asyncpg.connect(
            database_url, user="postgres", server_settings={"application_name": WRITER}
        )
    except asyncpg.PostgresError:
        pytest.skip("this database has no superuser for us")
    yield connection
    await end(connection, services)


async def test_no_bound_is_given_while_writers_are_hidden(
    partner: Partner, services: Services, other_role: asyncpg.Connection
) -> None:
    """Better no list than one that claims to be complete, and may not be."""
    refused = await partner.get()
    assert refused.status_code == 503
    assert "same role" in refused.json()["detail"]
    assert THROUGH not in refused.headers
    await end(other_role, services)
    assert (await partner.get()).status_code == 200


async def test_no_bound_is_given_while_writers_hide(
    partner: Partner,
    services: Services,
    slow_writer: asyncpg.Connection,
    other_role: asyncpg.Connection,
) -> None:
    role = await slow_writer.fetchval("select current_user")
    await other_role.execute(f"grant set on parameter track_activities to {role}")
    try:
        await slow_writer.execute("set track_activities = off")
    finally:
        await other_role.execute(f"revoke set on parameter track_activities from {role}")
        await end(other_role, services)
    refused = await partner.get()
    assert (refused.status_code, THROUGH in refused.headers) == (503, False)
    await end(slow_writer, services)
    assert (await partner.get()).status_code == 200


# The header


async def test_the_header_is_in_every_answer_and_about_now(partner: Partner) -> None:
    await send(partner, sent := fresh(1))
    basic = (partner.key, partner.secret)

    async def xapi(**params: str) -> httpx.Response:
        return await partner.http.get("/xapi/statements", params=params, headers=XAPI, auth=basic)

    asked: list[tuple[int, Awaitable[httpx.Response]]] = [
        (200, partner.get()),
        (200, partner.get(statementId=sent[0]["id"])),
        (404, partner.get(statementId=new_id())),
        (404, partner.get(voidedStatementId=sent[0]["id"])),
        (200, xapi()),
        (200, xapi(statementId=sent[0]["id"])),
        (404, xapi(statementId=new_id())),
        (400, xapi(limit="none")),
        (200, partner.xapi(statement())),
        (400, partner.xapi({})),
    ]
    for status, asking in asked:
        answer = await asking
        assert answer.status_code == status
        assert HEADER_FORM.fullmatch(answer.headers[THROUGH])
        assert abs(datetime.now(UTC) - bound(answer)) < timedelta(seconds=1)


async def test_the_bound_covers_what_the_answer_shows(partner: Partner) -> None:
    await send(partner, fresh(3))
    answer = await partner.get()
    assert all(stored(each) <= bound(answer) for each in answer.json()["statements"])


# Pages


async def test_a_page_may_be_exactly_full(partner: Partner) -> None:
    await send(partner, fresh(6))
    for limit, lengths in (("3", [3, 3]), ("6", [6]), ("4", [4, 2]), ("0", [6]), ("9999", [6])):
        found = [len(answer.json()["statements"]) async for answer in pages(partner, limit=limit)]
        assert found == lengths


async def test_no_page_has_more_than_the_server_allows(
    partner: Partner, settings: Settings
) -> None:
    async with another_server(msgspec.structs.replace(settings, page_size=2)) as client:
        there = replace(partner, http=client)
        await send(there, fresh(5))
        for params in ({}, {"limit": "0"}, {"limit": "100"}):
            found = [len(answer.json()["statements"]) async for answer in pages(there, **params)]
            assert found == [2, 2, 1]


async def test_an_empty_list_is_no_error(partner: Partner) -> None:
    answer = await partner.get(verb="http://example.com/never")
    assert (answer.status_code, answer.json()) == (200, {"statements": [], "more": ""})


async def test_more_repeats_all_that_was_asked_for(partner: Partner) -> None:
    params = {
        "agent": '{"mbox":"mailto:learner@example.com"}',
        "verb": "http://example.com/verbs/a?b=c&d=ü%20",
        "format": "ids",
        "ascending": "true",
        "limit": "2",
        "since": "2020-01-01T00:00:00+02:00",
    }
    wanted = [statement(verb={"id": params["verb"]}) for _ in range(5)]
    await send(partner, wanted + fresh(5))
    found = [answer.json()["statements"] async for answer in pages(partner, **params)]
    assert [len(page) for page in found] == [2, 2, 1]
    for each in itertools.chain(*found):
        assert each["object"] == {"id": "http://example.com/course/1"}
        assert each["verb"] == {"id": params["verb"]}


@pytest.mark.parametrize("organization", ["north", "a b", "ü", "a?b", "a#b", "100%", "a%3Fb", "+"])
async def test_more_stays_within_the_organization(partner: Partner, organization: str) -> None:
    await send(partner, fresh(2))
    path = quote(organization, safe="")
    answer = await partner.send(sent := fresh(3), organization=path)
    assert answer.status_code == 200
    found: list[Json] = []
    answer = await partner.get(path, limit="1")
    while True:
        found += answer.json()["statements"]
        if not (more := answer.json()["more"]):
            break
        answer = await partner.http.get(more, headers=partner.headers)
        assert answer.status_code == 200, (more, answer.text)
    assert {each["id"] for each in found} == {each["id"] for each in sent}


async def test_more_has_the_prefix_that_the_world_knows(
    partner: Partner, settings: Settings
) -> None:
    """A proxy that serves us below a path takes that path away; a client must put it there."""
    public = msgspec.structs.replace(settings, public_url="https://example.com/learning/lrs")
    async with another_server(public) as client:
        await send(partner, fresh(2))
        there = replace(partner, http=client)
        await there.authenticate()
        answer = await there.get(limit="1")
    assert answer.json()["more"].startswith(f"/learning/lrs/v1/partners/{partner.name}/statements?")


@pytest.mark.parametrize(
    "change",
    [
        lambda cursor: "",
        lambda cursor: cursor[1:] + ".",
        lambda cursor: cursor.replace(".", ".x", 1),
        lambda cursor: "9" * 30 + cursor[cursor.index(".") :],
        lambda cursor: "9" * 5000 + cursor[cursor.index(".") :],
        lambda cursor: "-" + cursor,
        lambda cursor: "²" + cursor,
        lambda cursor: cursor + "." + cursor,
    ],
)
async def test_a_cursor_that_was_tampered_with_is_refused(
    partner: Partner, change: Callable[[str], str]
) -> None:
    await send(partner, fresh(2))
    more = httpx.URL((await partner.get(limit="1")).json()["more"])
    answer = await partner.get(limit="1", cursor=change(more.params["cursor"]))
    assert answer.status_code == 400, answer.text
    assert answer.json()["errors"][0]["pointer"] == "cursor"


async def test_a_cursor_cannot_promise_the_future(partner: Partner) -> None:
    await send(partner, fresh(2))
    more = httpx.URL((await partner.get(limit="1")).json()["more"])
    place, _ = more.params["cursor"].split(".")
    cursor = f"{place}.{10**16}"
    answer = await partner.get(limit="1", cursor=cursor)
    assert answer.status_code == 200
    assert bound(answer) <= datetime.now(UTC)


async def test_a_batch_is_listed_in_the_order_it_was_sent_in(partner: Partner) -> None:
    sent = fresh(50)
    await partner.send(sent)
    ids = [each["id"] for each in sent]
    assert [each["id"] for each in await partner.all(ascending="true", limit=7)] == ids
    assert [each["id"] for each in await partner.all(limit=7)] == ids[::-1]
