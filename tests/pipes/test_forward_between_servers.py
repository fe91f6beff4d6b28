"""Forwarding to this server itself: from one partner to another, over a socket."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lrs.api.services import Services
from lrs.auth import scopes
from lrs.auth.credentials import add_credential
from lrs.pipes.engine import Engine
from lrs.pipes.options import Basic, OAuth2
from lrs.store.pipes import Pipe
from lrs.store.registry import get_partner
from lrs.xapi.index_keys import VOIDED
from tests.support import pipes
from tests.support.attachments import attachment_of, statement_with, stored
from tests.support.forward_target import serving
from tests.support.forwarding import (
    add_pipe,
    forwarding,
    letters,
    run_until_settled,
    store_many,
    store_statements,
)
from tests.support.partners import Partner
from tests.support.statements import XAPI, new_id, statement

pytestmark = pytest.mark.slow


@pytest.fixture
def engine(services: Services) -> Engine:
    return forwarding(services)


async def pipe_to(
    services: Services, partner: Partner, other: Partner, server: str, **values: object
) -> Pipe:
    credentials = Basic(other.key, other.secret)
    return await add_pipe(services, partner, f"{server}/xapi", credentials=credentials, **values)


async def ids_of(partner: Partner) -> set[str]:
    """The ids of all statements of a partner that are not voided."""
    ids: set[str] = set()
    url = "/xapi/statements?limit=500"
    while url:
        answer = await partner.http.get(url, headers=XAPI, auth=(partner.key, partner.secret))
        assert answer.status_code == 200, answer.text
        ids |= {item["id"] for item in answer.json()["statements"]}
        url = answer.json().get("more", "")
    return ids


async def test_statements_attachments_and_voids_arrive(
    services: Services, partner: Partner, stranger: Partner, server: str, engine: Engine
) -> None:
    ids = await store_many(partner, 30)
    attached = statement_with(attachment_of(b"content"))
    await stored(partner, attached, b"content")
    agents = [{"objectType": "contextAgent", "agent": {"mbox": "mailto:a@example.com"}}]
    newer = statement(id=new_id(), version="2.0.0", context={"contextAgents": agents})
    void = statement(
        id=new_id(), verb={"id": VOIDED}, object={"objectType": "StatementRef", "id": ids[0]}
    )
    await store_statements(partner, [newer, void])
    pipe = await pipe_to(services, partner, stranger, server)
    pipe = await run_until_settled(engine, pipe)
    assert await letters(services, pipe) == {}
    assert await ids_of(stranger) == {*ids[1:], attached["id"], newer["id"], void["id"]}
    assert pipe.counts == {"delivered": 33}


async def test_mutual_forwarding_sends_each_statement_once(
    services: Services, partner: Partner, stranger: Partner, server: str, engine: Engine
) -> None:
    own_ids, foreign_ids = await store_many(partner, 20), await store_many(stranger, 10)
    forth = await pipe_to(services, partner, stranger, server)
    back = await pipe_to(services, stranger, partner, server)
    for _ in range(3):
        forth = await run_until_settled(engine, forth)
        back = await run_until_settled(engine, back)
    assert await ids_of(partner) == await ids_of(stranger) == {*own_ids, *foreign_ids}
    requests = dict(forth.requests), dict(back.requests)
    forth = await pipes.run_until_waiting(engine, forth)
    back = await pipes.run_until_waiting(engine, back)
    assert (forth.requests, back.requests) == requests
    assert (forth.counts["delivered"], back.counts["delivered"]) == (20, 10)
    assert await letters(services, forth) == await letters(services, back) == {}


async def test_forwarded_statements_go_on_to_a_third_lrs(
    services: Services, partner: Partner, stranger: Partner, server: str, engine: Engine
) -> None:
    ids = await store_many(partner, 5)
    forth = await pipe_to(services, partner, stranger, server)
    await run_until_settled(engine, forth)
    async with serving() as third:
        onward = await add_pipe(services, stranger, third.url, name="onward")
        await run_until_settled(engine, onward)
    assert set(third.stored) == set(ids)


async def test_credential_without_read_access_is_enough_to_recognize_the_target(
    services: Services, partner: Partner, stranger: Partner, server: str, engine: Engine
) -> None:
    await store_many(partner, 5)
    await run_until_settled(engine, await pipe_to(services, partner, stranger, server))
    issued = await add_credential(
        services.database, await get_partner(services.database, partner.name), kind="client",
        label="", granted=frozenset({scopes.STATEMENTS_WRITE}), expires_at=None,
    )  # fmt: skip
    credentials = Basic(issued.key, issued.secret)
    back = await add_pipe(services, stranger, f"{server}/xapi", credentials=credentials)
    back = await run_until_settled(engine, back)
    assert back.counts == {"skipped": 5}


async def test_statements_of_excluded_credentials_are_not_forwarded(
    services: Services, partner: Partner, engine: Engine
) -> None:
    await store_many(partner, 3)
    issued = await add_credential(
        services.database, await get_partner(services.database, partner.name), kind="client",
        label="other LRS", granted=frozenset({scopes.ALL}), expires_at=None,
    )  # fmt: skip
    other = replace(partner, key=issued.key, secret=issued.secret)
    pushed = statement(id=new_id())
    assert (await other.xapi(pushed)).status_code == 200
    async with serving() as target:
        pipe = await add_pipe(
            services, partner, target.url, filter={"not_from": [issued.key, "pipe history"]}
        )
        pipe = await run_until_settled(engine, pipe)
    assert len(target.stored) == 3
    assert pushed["id"] not in target.stored


async def test_partner_interface_answers_for_each_item(
    services: Services, partner: Partner, stranger: Partner, server: str, engine: Engine
) -> None:
    first, second, third = await store_many(partner, 3)
    await store_statements(stranger, [statement(id=first)])
    await store_statements(stranger, [statement(id=second, verb={"id": "http://example.com/x"})])
    url = f"{server}/v1/partners/{stranger.name}/statements"
    credentials = OAuth2(f"{server}/oauth2/token", stranger.key, stranger.secret)
    pipe = await add_pipe(services, partner, url, credentials=credentials)
    pipe = await run_until_settled(engine, pipe)
    assert set(await letters(services, pipe)) == {second}
    assert third in await ids_of(stranger)
    assert pipe.counts == {"delivered": 2, "dead_letter": 1}


async def test_track_events_are_stored_once(
    services: Services, partner: Partner, stranger: Partner, server: str, engine: Engine
) -> None:
    await store_many(partner, 2, timestamp="2026-05-08T12:00:00Z")
    url = f"{server}/v1/partners/{stranger.name}/track"
    credentials = OAuth2(f"{server}/oauth2/token", stranger.key, stranger.secret)
    pipe = await add_pipe(services, partner, url, credentials=credentials, target="track")
    pipe = await run_until_settled(engine, pipe)
    assert pipe.counts == {"delivered": 2}
    assert len(await ids_of(stranger)) == 1


async def test_wrong_secret_fails_until_it_is_right(
    services: Services, partner: Partner, stranger: Partner, server: str, engine: Engine
) -> None:
    await store_many(partner, 2)
    pipe = await add_pipe(
        services, partner, f"{server}/xapi", credentials=Basic(stranger.key, "wrong")
    )
    pipe = await pipes.run_until_waiting(engine, pipe)
    assert (pipe.state, pipe.counts) == ("failing", {})
    assert "401" in str(pipe.last_error)
