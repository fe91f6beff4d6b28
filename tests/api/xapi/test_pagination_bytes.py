"""Pagination: the byte limit of a page."""

from __future__ import annotations

import os
import threading
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import httpx
import orjson
import pytest

from lrs.api import statement_formats
from lrs.api.services import Services
from lrs.settings import Settings
from lrs.store.statements import definitions
from lrs.store.statements.page_query import PAGE_LIMITS, PageLimits
from lrs.xapi import formats
from tests.support.app import serving
from tests.support.attachments import attachment_of, post, read, statement_with
from tests.support.partners import Partner
from tests.support.statements import XAPI, new_id, statement

Json = dict[str, Any]

MILLION = 1_000_000
VOIDED = "http://adlnet.gov/expapi/verbs/voided"


def large(size: int = MILLION) -> Json:
    """A statement of about `size` bytes that does not compress."""
    return statement(id=new_id(), result={"response": os.urandom(size // 2).hex()})


async def send(partner: Partner, batch: Sequence[Json]) -> None:
    response = await partner.xapi(batch)
    assert response.status_code == 200, response.text


async def read_all(partner: Partner, **params: str) -> AsyncIterator[httpx.Response]:
    """Every page of a list on the xAPI interface."""
    url, value = "/xapi/statements", dict(params)
    while url:
        response = await partner.http.get(
            url, params=value or None, headers=XAPI, auth=(partner.key, partner.secret)
        )
        assert response.status_code == 200, response.text
        yield response
        url, value = more(response), {}


def more(response: httpx.Response) -> str:
    is_mixed = response.headers["content-type"].startswith("multipart/")
    return str((read(response).json if is_mixed else response.json())["more"])


async def lengths_and_ids(partner: Partner, **params: str) -> tuple[list[int], list[str]]:
    """The number of statements on each page, and all ids."""
    result = [response.json()["statements"] async for response in read_all(partner, **params)]
    return [len(page) for page in result], [item["id"] for page in result for item in page]


@pytest.fixture(scope="module")
async def small_pages_http(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(settings, PageLimits(max_bytes=10_000)) as http:
        yield http


@pytest.fixture
def small_pages(partner: Partner, small_pages_http: httpx.AsyncClient) -> Partner:
    """The same partner on a server whose pages have at most 10,000 bytes."""
    return replace(partner, http=small_pages_http)


@pytest.mark.slow
@pytest.mark.parametrize("ascending", ["false", "true"])
async def test_page_of_large_statements_ends_at_the_byte_limit(
    partner: Partner, ascending: str
) -> None:
    sent = [large() for _ in range(12)]
    await send(partner, sent)
    responses = [response async for response in read_all(partner, limit="500", ascending=ascending)]
    assert [len(item.json()["statements"]) for item in responses] == [8, 4]
    assert all(len(item.content) < PAGE_LIMITS.max_bytes + 1000 for item in responses)
    result = [item["id"] for response in responses for item in response.json()["statements"]]
    wanted = [item["id"] for item in sent]
    assert result == (wanted if ascending == "true" else wanted[::-1])


async def test_one_large_statement_among_small_ones_ends_no_page_early(
    partner: Partner,
) -> None:
    sent = [statement(id=new_id()), large(), *(statement(id=new_id()) for _ in range(48))]
    await send(partner, sent)
    wanted = [item["id"] for item in sent]
    for limit, lengths in (("500", [50]), ("20", [20, 20, 10]), ("1", [1] * 50)):
        result = await lengths_and_ids(partner, limit=limit, ascending="true")
        assert result == (lengths, wanted)


async def test_statement_larger_than_a_page_has_its_own_page(
    partner: Partner, small_pages: Partner
) -> None:
    sent = [large(size) for size in (100, 20_000, 20_000, 100, 100, 20_000)]
    await send(partner, sent)
    result = await lengths_and_ids(small_pages, limit="4", ascending="true")
    assert result == ([1, 1, 1, 2, 1], [item["id"] for item in sent])


async def test_voided_statements_do_not_count_towards_the_byte_limit(
    partner: Partner, small_pages: Partner
) -> None:
    remaining, voided = [large(3000) for _ in range(4)], [large(9000) for _ in range(4)]
    await send(partner, [item for pair in zip(remaining, voided, strict=True) for item in pair])
    target = [{"objectType": "StatementRef", "id": item["id"]} for item in voided]
    voiding = [statement(id=new_id(), verb={"id": VOIDED}, object=item) for item in target]
    await send(partner, voiding)
    lengths, result = await lengths_and_ids(small_pages, ascending="true")
    assert result == [item["id"] for item in remaining + voiding]
    assert lengths[0] == 2


# Two servers can store them so: different `sequence`, equal `stored`.
_AT_ONE_MOMENT = """
update statement set sequence = placed.sequence
from (
    select
        statement_id,
        ((min(sequence) over () >> 10) - 1000000 << 10)
            + row_number() over (order by sequence) as sequence
    from statement where partner_id = $1
) as placed
where partner_id = $1 and statement.statement_id = placed.statement_id
"""


@pytest.mark.parametrize("ascending", ["false", "true"])
async def test_page_ends_among_statements_with_equal_stored_time(
    partner: Partner, services: Services, ascending: str, small_pages: Partner
) -> None:
    sent = [large(2000) for _ in range(8)]
    await send(partner, sent)
    await services.database.writers.execute(_AT_ONE_MOMENT, partner.partner_id)
    wanted = [item["id"] for item in sent]
    result = await lengths_and_ids(small_pages, ascending=ascending)
    assert result == ([4, 4], wanted if ascending == "true" else wanted[::-1])


@pytest.mark.parametrize("ascending", ["false", "true"])
async def test_attachment_contents_are_on_the_page_of_their_statement(
    partner: Partner, ascending: str, small_pages: Partner
) -> None:
    contents = [f"content {number}".encode() for number in range(6)]
    sent = [
        statement_with(attachment_of(item), result={"response": "x" * 4000}) for item in contents
    ]
    response = await post(partner, sent, *contents)
    assert response.status_code == 200, response.text
    actual = [
        read(response)
        async for response in read_all(small_pages, attachments="true", ascending=ascending)
    ]
    assert [len(item.ids) for item in actual] == [2, 2, 2]
    for item in actual:
        named = [one["attachments"][0]["sha2"] for one in item.json["statements"]]
        assert list(item.contents) == named
    assert sorted(content for item in actual for content in item.contents.values()) == contents


# Merged definitions and names


def defining(activity: str, description: str) -> Json:
    definition = {"description": {"en": description}}
    return statement(id=new_id(), object={"id": activity, "definition": definition})


def about(activity: str) -> Json:
    return statement(id=new_id(), object={"id": activity})


async def canonical(partner: Partner) -> list[list[Json]]:
    return [
        list(response.json()["statements"])
        async for response in read_all(partner, format="canonical", ascending="true")
    ]


async def test_merged_definitions_count_towards_the_byte_limit(
    partner: Partner, small_pages: Partner
) -> None:
    """Merged definitions can be larger than the statement."""
    activity = "http://example.com/long"
    sent = [defining(activity, "x" * 3000), *(about(activity) for _ in range(7))]
    await send(partner, sent)
    result = await canonical(small_pages)
    assert [len(page) for page in result] == [2, 2, 2, 2]
    displayed = [item for page in result for item in page]
    assert [item["id"] for item in displayed] == [item["id"] for item in sent]
    for item in displayed:
        assert item["object"]["definition"]["description"] == {"en": "x" * 3000}


async def test_definitions_of_a_page_are_limited_in_bytes(
    partner: Partner, small_pages: Partner
) -> None:
    activities = [f"http://example.com/long/{number}" for number in range(8)]
    await send(partner, [defining(item, "x" * 4000) for item in activities])
    await send(partner, [about(item) for item in activities])
    displayed = [item for page in await canonical(small_pages) for item in page]
    assert [item["object"]["id"] for item in displayed] == activities * 2
    for item in displayed:
        assert item["object"]["definition"]["description"] == {"en": "x" * 4000}


async def test_statement_keeps_its_own_definition_where_the_merged_one_is_too_large(
    partner: Partner, small_pages: Partner
) -> None:
    activities = [f"http://example.com/long/{number}" for number in range(8)]
    await send(partner, [defining(item, "x" * 4000) for item in activities])
    target, *others = [{"id": item, "definition": {"name": {"en": "Short"}}} for item in activities]
    spoken_of = {"contextActivities": {"other": others}}
    await send(partner, [statement(id=new_id(), object=target, context=spoken_of)])
    *_, (result,) = await canonical(small_pages)
    displayed = [result["object"], *result["context"]["contextActivities"]["other"]]
    own = [item["definition"] for item in displayed if "description" not in item["definition"]]
    assert own == [{"name": {"en": "Short"}}] * 6


async def test_repeated_mentions_of_an_activity_are_limited_in_bytes(
    partner: Partner, small_pages: Partner
) -> None:
    """A few kilobytes of mentions would become megabytes of definitions."""
    activity = {"id": "http://example.com/long"}
    await send(partner, [defining(activity["id"], "x" * 3000)])
    mentions = {"contextActivities": {"other": [activity] * 200}}
    await send(partner, [statement(id=new_id(), context=mentions) for _ in range(3)])
    responses = [item async for item in read_all(small_pages, format="canonical", ascending="true")]
    assert [len(item.json()["statements"]) for item in responses] == [1, 1, 1, 1]
    for response in responses:
        assert len(response.content) < 2 * 10_000 + 200 * 40


async def test_definitions_are_added_outside_the_event_loop(
    partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []

    def localized(definition: Json, languages: Sequence[str]) -> Json:
        threads.append(threading.current_thread())
        return definition

    monkeypatch.setattr(formats, "localized", localized)
    await send(partner, [defining("http://example.com/short", "x")])
    await canonical(partner)
    assert threads
    assert threading.main_thread() not in threads


async def test_canonical_page_looks_up_a_limited_number_of_activities(
    partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statement_formats, "_MAX_ACTIVITIES", 3)
    activities = [f"http://example.com/{number}" for number in range(4)]
    await send(partner, [defining(item, "merged") for item in activities])
    mentions = {"contextActivities": {"other": [{"id": item} for item in activities]}}
    await send(partner, [about(activities[3]) | {"context": mentions}])
    *pages, (last,) = await canonical(partner)
    assert [len(page) for page in pages] == [3, 1]
    definitions = [item.get("definition") for item in last["context"]["contextActivities"]["other"]]
    merged = {"description": {"en": "merged"}}
    assert definitions == [merged, merged, None, merged]
    assert last["object"]["definition"] == merged


async def test_repetitive_definitions_are_limited_in_bytes(
    partner: Partner, services: Services
) -> None:
    """Compressed, a hundred megabytes of them would seem to be one."""
    activities = [f"http://example.com/long/{number}" for number in range(3)]
    await send(partner, [defining(item, "x" * 300_000) for item in activities])
    merged = await definitions.definitions(
        services.database, partner.partner_id, [*activities, "http://example.com/none"], 400_000
    )
    assert [item for item, definition in merged.items() if definition] == activities[:2]
    assert list(merged) == activities


async def test_names_of_an_agent_are_limited_in_bytes(
    partner: Partner, small_pages: Partner
) -> None:
    names = [f"{number} {'x' * 3000}" for number in range(8)]
    agent = {"mbox": "mailto:many@example.com"}
    await send(partner, [statement(actor={**agent, "name": name}) for name in names])
    response = await small_pages.http.get(
        "/xapi/agents",
        params={"agent": orjson.dumps(agent).decode()},
        headers=XAPI,
        auth=(partner.key, partner.secret),
    )
    assert response.json()["name"] == names[:4]


@pytest.mark.slow
async def test_differences_of_conflicts_are_limited_in_bytes(partner: Partner) -> None:
    """All are reported as conflicts; those beyond 8 MiB without their differences."""
    sent = [large() for _ in range(11)]
    await send(partner, sent)
    response = await partner.send([statement(id=item["id"]) for item in sent])
    assert response.status_code == 409
    results = response.json()["results"]
    assert [item["outcome"] for item in results] == ["conflict"] * 11
    reported = [item["problem"].get("errors") for item in results]
    assert [item for item in reported if item] == [reported[0]] * 9
    assert reported[0][0]["pointer"] == "/result"
