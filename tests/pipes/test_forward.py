"""Forwarding statements to a target that answers as a script says."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import orjson
import pytest

from lrs.api.services import Services
from lrs.pipes.forward.cursor import dump_cursor, load_cursor
from lrs.pipes.forward.letter_limits import LetterCounts
from lrs.store import dead_letters, statement_origins
from lrs.store import pipes as store
from lrs.xapi.index_keys import VOIDED
from tests.support.forward_target import Reply, Request, serving
from tests.support.forwarding import (
    add_pipe,
    forwarding,
    letters,
    run_until_settled,
    store_many,
    store_statements,
)
from tests.support.partners import Partner
from tests.support.statements import new_id, statement


async def test_statements_are_forwarded_once_with_their_bytes(
    services: Services, partner: Partner
) -> None:
    ids = await store_many(partner, 120)
    async with serving() as target:
        pipe = await add_pipe(services, partner, target.url, batch=50)
        engine = forwarding(services)
        pipe = await run_until_settled(engine, pipe)
        assert [len(request.statements) for request in target.posts] == [50, 50, 20]
        assert list(target.stored) == ids
        assert pipe.counts == {"delivered": 120}
        later = await store_many(partner, 3)
        await run_until_settled(engine, pipe)
        assert list(target.stored) == ids + later
    stored = await partner.http.get(
        partner.url("statements"), params={"statementId": ids[0]}, headers=partner.headers
    )
    assert stored.content in target.posts[0].body
    assert target.posts[0].path == "/xapi/statements"


def misbehaviour(ids: list[str]) -> Callable[[Request], Reply | None]:
    """Refuses 7 statements, answers 500 to one, 409 to one, 503 twice, 413 above 50; is down."""
    refused, broken, conflicting = set(ids[10:200:30]), ids[333], ids[444]
    outages: Iterator[Reply] = iter(
        [Reply(503, headers={"Retry-After": "0"})] * 2 + [Reply(None)] * 5 + [Reply(502)] * 3
    )

    def script(request: Request) -> Reply | None:
        sent = [item["id"] for item in request.statements]
        if len(sent) > 50:
            return Reply(413)
        if ids[250] in sent and (outage := next(outages, None)):
            return outage
        if refused & set(sent):
            return Reply(400, b'{"error":"refused"}')
        if broken in sent:
            return Reply(500, b"broken")
        return Reply(409, b"conflict") if conflicting in sent else None

    return script


@pytest.mark.slow
async def test_misbehaving_target_gets_every_statement_or_it_is_a_dead_letter(
    services: Services, partner: Partner
) -> None:
    ids = await store_many(partner, 600)
    async with serving(misbehaviour(ids)) as target:
        other = statement(id=ids[444], verb={"id": "http://example.com/other"})
        target.stored[ids[444]] = other
        pipe = await add_pipe(services, partner, target.url, batch=100)
        pipe = await run_until_settled(forwarding(services), pipe)
    dead = await letters(services, pipe)
    assert set(dead) == {*ids[10:200:30], ids[333], ids[444]}
    assert dead[ids[10]].response == '{"error":"refused"}'
    assert dead[ids[333]].status == 500
    assert dead[ids[444]].status == 409
    assert target.stored.pop(ids[444]) == other
    assert set(target.stored) == set(ids) - set(dead)
    assert pipe.counts == {"delivered": 591, "dead_letter": 9}
    answers = sum(pipe.requests.values()) - len(target.reads)
    assert answers >= len(target.posts)
    retries = 10 + 9 + 3  # of the outage, and of the statement with the error 500
    assert len(target.posts) <= 2 * 9 * math.log2(600) + 600 / 50 + retries
    assert target.most_open_requests == 1


async def test_equal_statement_at_the_target_is_delivered(
    services: Services, partner: Partner
) -> None:
    ids = await store_many(partner, 2)
    async with serving(lambda request: Reply(409)) as target:
        target.stored[ids[0]] = statement(id=ids[0])
        target.stored[ids[1]] = statement(id=ids[1], verb={"id": "http://example.com/other"})
        pipe = await add_pipe(services, partner, target.url)
        pipe = await run_until_settled(forwarding(services), pipe)
    assert set(await letters(services, pipe)) == {ids[1]}
    assert pipe.counts == {"delivered": 1, "dead_letter": 1}


async def test_statements_that_the_answer_does_not_list_are_read_at_the_target(
    services: Services, partner: Partner
) -> None:
    """Some targets list only new statements; another one has lost a statement."""
    ids = await store_many(partner, 4)
    lost, old = ids[1], ids[2]

    def script(request: Request) -> Reply:
        for item in request.statements:
            if item["id"] != lost:
                target.stored.setdefault(item["id"], item)
        sent = [item["id"] for item in request.statements]
        return Reply(200, orjson.dumps([item for item in sent if item not in (lost, old)]))

    async with serving(script) as target:
        pipe = await add_pipe(services, partner, target.url)
        pipe = await run_until_settled(forwarding(services), pipe)
    refused = await letters(services, pipe)
    assert set(refused) == {lost}
    assert "without the id" in refused[lost].reason
    assert pipe.counts == {"delivered": 3, "dead_letter": 1}


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"[1", b'["x"]', b"null"])
@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_accepting_answer_of_any_body_is_a_delivery(
    services: Services, partner: Partner, status: int, body: bytes
) -> None:
    await store_many(partner, 2)
    body = b"" if status == 204 else body
    async with serving(lambda _: Reply(status, body)) as target:
        pipe = await add_pipe(services, partner, target.url)
        pipe = await run_until_settled(forwarding(services), pipe)
    assert pipe.counts == {"delivered": 2}


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_denied_requests_drop_nothing_and_fail(
    services: Services, partner: Partner, status: int
) -> None:
    ids = await store_many(partner, 3)
    replies = iter([Reply(status)] * 3)
    async with serving(lambda request: next(replies, None)) as target:
        pipe = await add_pipe(services, partner, target.url)
        engine = forwarding(services)
        claimed = await engine.claim((pipe.partner_id, pipe.name))
        assert claimed
        pipe = await engine.run_slice(claimed)
        assert pipe.state == "failing"
        assert str(status) in str(pipe.last_error)
        pipe = await run_until_settled(engine, pipe)
        assert list(target.stored) == ids
    assert pipe.last_error is None


async def test_retried_dead_letters_are_delivered_or_refused_again(
    services: Services, partner: Partner
) -> None:
    ids = await store_many(partner, 4)
    refused = set(ids[:3])
    async with serving(
        lambda request: Reply(400) if refused & {s["id"] for s in request.statements} else None
    ) as target:
        pipe = await add_pipe(services, partner, target.url)
        engine = forwarding(services)
        pipe = await run_until_settled(engine, pipe)
        assert set(await letters(services, pipe)) == set(ids[:3])
        refused.discard(ids[0])
        assert (
            await dead_letters.retry_letters(services.database, pipe.partner_id, pipe.name, None)
            == 3
        )
        pipe = await run_until_settled(engine, pipe)
        assert ids[0] in target.stored
    dead = await letters(services, pipe)
    assert set(dead) == set(ids[1:3])
    assert {letter.attempts for letter in dead.values()} == {2}
    assert not any(letter.retry for letter in dead.values())


async def test_many_dead_letters_pause_the_pipe_until_it_is_started(
    services: Services, partner: Partner
) -> None:
    first, _ = await store_many(partner, 2)
    async with serving(lambda request: Reply(400)) as target:
        pipe = await add_pipe(services, partner, target.url)
        cursor = load_cursor(pipe, "beginning", datetime.now(UTC))
        almost = msgspec.structs.replace(cursor, letters=LetterCounts(1_000))
        await store.set_cursor(services.database, pipe.partner_id, pipe.name, dump_cursor(almost))
        await services.database.writers.execute(
            "update pipe set config_version = $2 where partner_id = $1",
            pipe.partner_id,
            pipe.config_version,
        )
        engine = forwarding(services)
        pipe = await run_until_settled(engine, pipe)
        assert pipe.state == "paused"
        assert "1,000" in str(pipe.last_error)
        assert list(await letters(services, pipe)) == [first]
        await store.set_state(services.database, pipe.partner_id, pipe.name, "running")
        pipe = await run_until_settled(engine, pipe)
        assert pipe.state == "waiting"
        assert len(await letters(services, pipe)) == 2


async def test_voided_statements_and_voids_are_forwarded(
    services: Services, partner: Partner
) -> None:
    first, other, void = new_id(), new_id(), new_id()
    other_verb = {"id": "http://example.com/other"}
    await store_statements(
        partner,
        [
            statement(id=first),
            statement(id=other, verb=other_verb),
            statement(
                id=void,
                verb={"id": VOIDED},
                object={"objectType": "StatementRef", "id": first},
            ),
        ],
    )
    async with serving() as target:
        verb = statement()["verb"]["id"]
        pipe = await add_pipe(services, partner, target.url, filter={"verb": [verb]})
        await run_until_settled(forwarding(services), pipe)
        assert list(target.stored) == [first, void]


async def test_statements_of_the_target_are_not_sent_back(
    services: Services, partner: Partner
) -> None:
    ids = await store_many(partner, 2)
    async with serving() as target:
        pipe = await add_pipe(services, partner, target.url)
        origin = target.url.removesuffix("/xapi")
        pulled = [statement_origins.StatementOrigin(ids[0], None, None)]
        await statement_origins.add_origins(services.database, pipe, origin, pulled)
        pipe = await run_until_settled(forwarding(services), pipe)
        assert list(target.stored) == [ids[1]]
    assert pipe.counts == {"delivered": 1, "skipped": 1}


async def test_forwarding_begins_at_the_start_option(services: Services, partner: Partner) -> None:
    await store_many(partner, 2)
    async with serving() as target:
        pipe = await add_pipe(services, partner, target.url, start="now")
        later = await store_many(partner, 2)
        engine = forwarding(services)
        await run_until_settled(engine, pipe)
        assert list(target.stored) == later


async def test_web_page_at_the_url_is_no_delivery(services: Services, partner: Partner) -> None:
    await store_many(partner, 1)
    page = Reply(200, b"<html>", {"Content-Type": "text/html"})
    async with serving(lambda request: page) as target:
        pipe = await add_pipe(services, partner, target.url)
        engine = forwarding(services)
        claimed = await engine.claim((pipe.partner_id, pipe.name))
        assert claimed
        pipe = await engine.run_slice(claimed)
    assert "web page" in str(pipe.last_error)
    assert not pipe.counts


async def test_changed_start_sends_past_statements_again(
    services: Services, partner: Partner
) -> None:
    first, second = await store_many(partner, 1), await store_many(partner, 1)
    stored = await partner.http.get(
        partner.url("statements"), params={"statementId": second[0]}, headers=partner.headers
    )
    async with serving() as target:
        pipe = await add_pipe(services, partner, target.url)
        engine = forwarding(services)
        pipe = await run_until_settled(engine, pipe)
        options = {"start": stored.json()["stored"]}
        await store.set_config(services.database, replace(pipe, options=options))
        pipe = await run_until_settled(engine, pipe)
    sent = [item["id"] for post in target.posts for item in post.statements]
    assert sent == [*first, *second, *second]
    assert pipe.counts == {"delivered": 3}
