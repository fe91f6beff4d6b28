"""Pagination and polling while others write: nothing is skipped or repeated."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import quote

import httpx
import pytest

from lrs.settings import Settings
from lrs.store.statements import watermark
from tests.support.pagination import (
    Json,
    Poller,
    Writers,
    another_server,
    bound,
    fresh,
    pages,
    send,
    stored,
)
from tests.support.partners import Partner
from tests.support.statements import new_id, statement

# While others write


@pytest.mark.slow
@pytest.mark.parametrize("ascending", ["false", "true"])
@pytest.mark.parametrize("limit", ["7", "50"])
async def test_pagination_during_writes_skips_and_repeats_nothing(
    writers: Writers, ascending: str, limit: str
) -> None:
    partner = writers.partner
    await send(partner, fresh(40))
    async with writers.writing():
        await writers.wait_for(100)
        before = set(writers.acknowledged)
        seen: list[Json] = []
        through = None
        async for answer in pages(partner, ascending=ascending, limit=limit):
            seen += answer.json()["statements"]
            through = through or bound(answer)
            assert bound(answer) == through
    order = [stored(item) for item in seen]
    assert order == sorted(order, reverse=ascending == "false")
    assert len({item["id"] for item in seen}) == len(seen)
    everything = {item["id"]: item for item in await partner.all()}
    assert before <= everything.keys()
    expected = {key for key, item in everything.items() if stored(item) <= through}
    assert {item["id"] for item in seen} == expected


@pytest.mark.slow
async def test_polling_by_watermark_returns_each_statement_once(
    writers: Writers, second_http: httpx.AsyncClient
) -> None:
    """In either order, from one server or alternating between two."""
    first, second = writers.partner, replace(writers.partner, http=second_http)
    pollers = [
        Poller(first, {"ascending": "true", "limit": "20"}),
        Poller(second, {"ascending": "true"}),
        Poller(first, {"limit": "20"}),
        Poller(second, {"agent": '{"mbox":"mailto:learner@example.com"}', "limit": "33"}),
    ]

    async def keep_polling(poller: Poller) -> None:
        while not writers.stop:
            await poller.poll()
            if poller is pollers[1]:
                poller.partner = random.choice([first, second])

    async with writers.writing():
        polling = asyncio.gather(*map(keep_polling, pollers))
        await writers.wait_for(1000)
    await polling
    for poller in pollers:
        await poller.poll()
        assert set(poller.seen) == writers.acknowledged
        assert set(poller.seen.values()) == {1}


@pytest.mark.slow
async def test_acknowledged_statement_is_listed_at_once(
    writers: Writers, second_http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By both servers, also during other writes (unless a transaction is stuck)."""
    monkeypatch.setattr(
        watermark, "_OPEN_WRITERS_TIMEOUT", 10
    )  # a transaction on a busy machine is not stuck
    first, second = writers.partner, replace(writers.partner, http=second_http)

    async def write_and_read(number: int) -> None:
        writer, reader = (first, second) if number % 2 else (second, first)
        for _ in range(8):
            verb = f"http://example.com/verbs/{new_id()}"
            await send(writer, [statement(verb={"id": verb})])
            assert len((await reader.get(verb=verb)).json()["statements"]) == 1

    async with writers.writing():
        await asyncio.gather(*map(write_and_read, range(6)))


@pytest.mark.slow
async def test_no_statement_appears_at_or_before_a_sent_watermark(
    writers: Writers, second_http: httpx.AsyncClient
) -> None:
    """Every sent header is before all statements that appear later."""
    first, second = writers.partner, replace(writers.partner, http=second_http)
    promised: list[tuple[datetime, set[str]]] = []

    async def read(partner: Partner) -> None:
        while not writers.stop:
            early = await partner.get(statementId=new_id())  # a 404 has the same guarantee
            listed = {item["id"] for item in await partner.all()}
            promised.append((bound(early), listed))

    async with writers.writing():
        reading = asyncio.gather(read(first), read(second))
        await writers.wait_for(400)
    await reading
    everything = await first.all()
    assert promised
    for through, listed in promised:
        assert listed.issuperset(item["id"] for item in everything if stored(item) <= through)


# Pages


@pytest.mark.slow
async def test_full_last_page_has_no_more(partner: Partner) -> None:
    await send(partner, fresh(6))
    for limit, lengths in (("3", [3, 3]), ("6", [6]), ("4", [4, 2]), ("0", [6]), ("9999", [6])):
        result = [len(answer.json()["statements"]) async for answer in pages(partner, limit=limit)]
        assert result == lengths


async def test_page_size_is_limited_by_the_server(partner: Partner, settings: Settings) -> None:
    async with another_server(replace(settings, max_page_size=2)) as client:
        second = replace(partner, http=client)
        await send(second, fresh(5))
        for params in ({}, {"limit": "0"}, {"limit": "100"}):
            result = [len(answer.json()["statements"]) async for answer in pages(second, **params)]
            assert result == [2, 2, 1]


async def test_empty_list_returns_200(partner: Partner) -> None:
    answer = await partner.get(verb="http://example.com/never")
    assert (answer.status_code, answer.json()) == (200, {"statements": [], "more": ""})


async def test_more_keeps_all_parameters(partner: Partner) -> None:
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
    result = [answer.json()["statements"] async for answer in pages(partner, **params)]
    assert [len(page) for page in result] == [2, 2, 1]
    for item in itertools.chain(*result):
        assert item["object"] == {"id": "http://example.com/course/1"}
        assert item["verb"] == {"id": params["verb"]}


@pytest.mark.parametrize("organization", ["north", "a b", "ü", "a?b", "a#b", "100%", "a%3Fb", "+"])
async def test_more_stays_within_the_organization(partner: Partner, organization: str) -> None:
    await send(partner, fresh(2))
    path = quote(organization, safe="")
    answer = await partner.send(sent := fresh(3), organization=path)
    assert answer.status_code == 200
    result: list[Json] = []
    answer = await partner.get(path, limit="1")
    while True:
        result += answer.json()["statements"]
        if not (more := answer.json()["more"]):
            break
        answer = await partner.http.get(more, headers=partner.headers)
        assert answer.status_code == 200, (more, answer.text)
    assert {item["id"] for item in result} == {item["id"] for item in sent}


async def test_more_has_the_public_path_prefix(partner: Partner, settings: Settings) -> None:
    """A proxy strips the prefix from requests; clients have to send it."""
    public = replace(settings, public_url="https://example.com/learning/lrs")
    async with another_server(public) as client:
        await send(partner, fresh(2))
        second = replace(partner, http=client)
        await second.authenticate()
        answer = await second.get(limit="1")
    assert answer.json()["more"].startswith(f"/learning/lrs/v1/partners/{partner.name}/statements?")


@pytest.mark.parametrize(
    "change",
    [
        lambda cursor: "",
        lambda cursor: cursor[1:] + ".",
        lambda cursor: cursor.replace(".", ".x", 1),
        lambda cursor: "more-" + "9" * 30 + cursor[cursor.index(".") :],
        lambda cursor: "9" * 5000 + cursor[cursor.index(".") :],
        lambda cursor: "-" + cursor,
        lambda cursor: "more-" + cursor,
        lambda cursor: cursor.replace("more-", "more--"),
        lambda cursor: cursor.replace("more-", "²"),
        lambda cursor: cursor + "." + cursor,
    ],
)
async def test_tampered_cursor_is_refused(partner: Partner, change: Callable[[str], str]) -> None:
    await send(partner, fresh(2))
    more = httpx.URL((await partner.get(limit="1")).json()["more"])
    answer = await partner.get(limit="1", cursor=change(more.params["cursor"]))
    assert answer.status_code == 400, answer.text
    assert answer.json()["errors"][0]["pointer"] == "cursor"


async def test_more_contains_the_word_that_jxapi_requires(partner: Partner) -> None:
    """It removes the path of its endpoint from a URL with the words `statements` and `more`."""
    await send(partner, fresh(2))
    assert "more" in (await partner.get(limit="1")).json()["more"]


async def test_cursor_of_an_earlier_version_is_accepted(partner: Partner) -> None:
    await send(partner, fresh(2))
    more = httpx.URL((await partner.get(limit="1")).json()["more"])
    cursor = more.params["cursor"].removeprefix("more-")
    new, old = [
        await partner.get(limit="1", cursor=text) for text in (more.params["cursor"], cursor)
    ]
    assert old.json() == new.json()
    assert len(old.json()["statements"]) == 1


async def test_cursor_in_the_future_does_not_raise_the_watermark(partner: Partner) -> None:
    await send(partner, fresh(2))
    more = httpx.URL((await partner.get(limit="1")).json()["more"])
    position, _ = more.params["cursor"].split(".")
    cursor = f"{position}.{10**16}"
    answer = await partner.get(limit="1", cursor=cursor)
    assert answer.status_code == 200
    assert bound(answer) <= datetime.now(UTC)


async def test_batch_is_listed_in_the_order_of_its_items(partner: Partner) -> None:
    sent = fresh(50)
    await partner.send(sent)
    ids = [item["id"] for item in sent]
    assert [item["id"] for item in await partner.all(ascending="true", limit=7)] == ids
    assert [item["id"] for item in await partner.all(limit=7)] == ids[::-1]
