"""Dead letters over the admin API: read, corrected, sent again, dropped."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import orjson
import pytest

from lrs.api.services import Services
from lrs.pipes.engine import Engine
from lrs.store import pipes as store
from lrs.store.dead_letters import DeadLetter
from lrs.store.pipes import Pipe, Step
from tests.api.operators.conftest import Admin
from tests.support.forward_target import Reply, Request, Target, serving
from tests.support.forwarding import (
    add_pipe,
    forwarding,
    letters,
    run_until_settled,
    store_statements,
)
from tests.support.partners import Partner
from tests.support.statements import new_id, statement

ACTOR = {"mbox": "mailto:ada@hidden.example", "name": "Ada"}


def refuse_poison(request: Request) -> Reply | None:
    """400 for a batch with a statement whose response is `poison`."""
    if b'"poison"' in request.body:
        return Reply(400, b'{"error": "ada@hidden.example: no poison"}')
    return None


@pytest.fixture
async def target() -> AsyncIterator[Target]:
    async with serving(refuse_poison) as running:
        yield running


@pytest.fixture
async def pipe(services: Services, partner: Partner, target: Target) -> Pipe:
    """A pipe with one dead letter, and two statements that are delivered."""
    poisoned = statement(id=new_id(), actor=ACTOR, result={"response": "poison"})
    await store_statements(partner, [statement(), poisoned, statement()])
    added = await add_pipe(services, partner, target.url)
    return await run_until_settled(forwarding(services), added)


@pytest.fixture
def engine(services: Services) -> Engine:
    return forwarding(services)


def url(partner: Partner, path: str = "") -> str:
    return f"/v1/admin/partners/{partner.name}/pipes/pipe/letters{path}"


async def only_letter(owner: httpx.AsyncClient, partner: Partner) -> dict[str, Any]:
    (letter,) = (await owner.get(url(partner))).json()["letters"]
    shown: dict[str, Any] = (await owner.get(url(partner, f"/{letter['statement_id']}"))).json()
    return shown


async def test_letter_is_corrected_and_delivered(
    owner: httpx.AsyncClient, services: Services, partner: Partner, pipe: Pipe, target: Target,
    engine: Engine,
) -> None:  # fmt: skip
    letter = await only_letter(owner, partner)
    assert (letter["status"], letter["attempts"], letter["is_queued"]) == (400, 1, False)
    assert "no poison" in letter["response"]
    corrected = letter["statement"] | {"result": {"response": "cured"}}
    path = url(partner, f"/{letter['statement_id']}/retry")
    answer = await owner.post(path, json=corrected)
    assert answer.status_code == 200, answer.text
    assert (await only_letter(owner, partner))["is_queued"]
    await run_until_settled(engine, pipe)
    assert await letters(services, pipe) == {}
    assert target.stored[letter["statement_id"]]["result"] == {"response": "cured"}
    stored = await partner.get(statementId=letter["statement_id"])
    assert stored.json()["result"] == {"response": "poison"}
    entries = (await owner.get("/v1/admin/audit", params={"partner": partner.name})).json()
    found = [entry["action"] for entry in entries["entries"]]
    assert found == ["letter.view", "letter.correct", "letter.view"]
    assert "hidden.example" not in str(entries)


async def test_refused_correction_stays_for_the_next_retry(
    owner: httpx.AsyncClient, services: Services, partner: Partner, pipe: Pipe, target: Target,
    engine: Engine,
) -> None:  # fmt: skip
    letter = await only_letter(owner, partner)
    own = url(partner, f"/{letter['statement_id']}")
    corrected = letter["statement"] | {"result": {"response": "poison", "completion": True}}
    await owner.post(f"{own}/retry", json=corrected)
    await run_until_settled(engine, pipe)
    again = await only_letter(owner, partner)
    assert (again["attempts"], again["is_queued"], again["has_own_text"]) == (2, False, True)
    assert orjson.loads(again["request"]) == corrected
    target.script = lambda request: None
    assert (await owner.post(f"{own}/retry")).status_code == 200
    await run_until_settled(engine, pipe)
    assert target.stored[letter["statement_id"]]["result"] == corrected["result"]


async def test_correction_without_an_id_gets_that_of_the_letter(
    owner: httpx.AsyncClient, partner: Partner, pipe: Pipe, target: Target, engine: Engine
) -> None:
    letter = await only_letter(owner, partner)
    path = url(partner, f"/{letter['statement_id']}/retry")
    body = {name: letter["statement"][name] for name in ("actor", "verb", "object")}
    assert (await owner.post(path, json=body)).status_code == 200
    await run_until_settled(engine, pipe)
    assert target.stored[letter["statement_id"]]["verb"] == body["verb"]


@pytest.mark.parametrize(
    ("body", "status", "code", "pointers"),
    [
        (b"{", 400, "malformed-json", []),
        (b"[]", 400, "invalid-statement", [""]),
        (b'{"verb": {"id": "x"}}', 400, "invalid-statement", ["", "", "/verb/id"]),
        ({"id": new_id()}, 400, "invalid-statement", ["/id"]),
        ({"actor": {"mbox": "ada"}}, 400, "invalid-statement", ["/actor/mbox"]),
        ({"result": {"response": "x" * 1_048_576}}, 413, "too-large", []),
    ],
)
async def test_invalid_correction_is_refused_with_all_errors(
    owner: httpx.AsyncClient, partner: Partner, pipe: Pipe, body: Any, status: int, code: str,
    pointers: list[str],
) -> None:  # fmt: skip
    letter = await only_letter(owner, partner)
    content = body if isinstance(body, bytes) else json.dumps(letter["statement"] | body).encode()
    answer = await owner.post(
        url(partner, f"/{letter['statement_id']}/retry"),
        content=content,
        headers={"Content-Type": "application/json"},
    )
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    found = [error["pointer"] for error in answer.json().get("errors", [])]
    assert sorted(found) == pointers
    assert not (await only_letter(owner, partner))["is_queued"]


async def test_letter_that_is_being_sent_is_not_corrected(
    owner: httpx.AsyncClient, services: Services, partner: Partner, pipe: Pipe, engine: Engine
) -> None:
    letter = await only_letter(owner, partner)
    path = url(partner, f"/{letter['statement_id']}/retry")
    await owner.post(path)
    claimed = await engine.claim((pipe.partner_id, pipe.name))
    assert claimed is not None
    assert (await owner.post(path, json=letter["statement"])).status_code == 409
    await store.release(services.database, claimed)
    assert (await owner.post(path, json=letter["statement"])).status_code == 200


async def test_letters_are_paged_retried_and_dropped(
    owner: httpx.AsyncClient, services: Services, partner: Partner, pipe: Pipe, engine: Engine
) -> None:
    claimed = await engine.claim((pipe.partner_id, pipe.name))
    assert claimed is not None
    many = [DeadLetter(UUID(new_id()), "refused", "https://x.example", 400) for _ in range(4)]
    await store.commit_step(
        services.database, claimed, Step(pipe.cursor, "waiting", 0, letters=many)
    )
    found, page = [], url(partner, "?limit=2")
    while page:
        answer = (await owner.get(page)).json()
        found += [item["statement_id"] for item in answer["letters"]]
        page = answer["more"]
    assert found == sorted(found)
    assert len(found) == 5
    one, two, *_ = found
    missing = await owner.get(url(partner, f"/{many[0].statement_id}"))
    assert missing.json()["statement"] is None  # it was never stored
    retried = await owner.post(url(partner, "/retry"), json={"ids": [one, new_id()]})
    assert retried.json() == {"letters": 1}
    assert (await owner.post(url(partner, "/retry"), json={"all": True})).json() == {"letters": 5}
    assert (await owner.delete(url(partner, f"/{one}"))).status_code == 204
    for answer in (
        await owner.delete(url(partner, f"/{one}")),
        await owner.get(url(partner, f"/{one}")),
        await owner.post(url(partner, f"/{one}/retry")),
        await owner.post(url(partner, f"/{one}/retry"), json=statement()),
        await owner.get(url(partner, "/none")),
    ):
        assert answer.status_code == 404, answer.text
    assert (await owner.post(url(partner, "/drop"), json={"ids": [two]})).json() == {"letters": 1}
    for body in ({}, {"all": False}, {"all": True, "ids": [two]}, {"ids": []}, {"ids": ["x"]}):
        assert (await owner.post(url(partner, "/drop"), json=body)).status_code == 400, body
    assert (await owner.post(url(partner, "/drop"), json={"all": True})).json() == {"letters": 3}


async def test_viewer_sees_pseudonyms_and_no_answer(
    admin: Admin, partner: Partner, pipe: Pipe
) -> None:
    viewer = await admin("viewer")
    letter = await only_letter(viewer, partner)
    assert (letter["request"], letter["response"]) == (None, None)
    assert "hidden.example" not in str(letter)
    assert "account" in letter["statement"]["actor"]
    own = url(partner, f"/{letter['statement_id']}")
    for answer in (
        await viewer.post(f"{own}/retry"),
        await viewer.post(f"{own}/retry", json=letter["statement"]),
        await viewer.delete(own),
    ):
        assert answer.status_code == 403


async def test_operator_of_another_partner_does_not_find_the_letter(
    admin: Admin, owner: httpx.AsyncClient, partner: Partner, stranger: Partner, pipe: Pipe
) -> None:
    letter = await only_letter(owner, partner)
    other = await admin("owner", [stranger.name])
    own = url(partner, f"/{letter['statement_id']}")
    for answer in (
        await other.get(own),
        await other.post(f"{own}/retry"),
        await other.post(f"{own}/retry", json=letter["statement"]),
        await other.delete(own),
    ):
        assert answer.status_code == 404
    assert (await only_letter(owner, partner))["is_queued"] is False


@pytest.mark.parametrize("form", ["track", "webhook"])
async def test_correction_has_the_form_of_the_target(
    owner: httpx.AsyncClient, services: Services, partner: Partner, engine: Engine, form: str
) -> None:
    event = {"content_id": "c-1", "user": "ada", "status": "completed",
             "event_date": "2026-01-01T00:00:00Z"}  # fmt: skip
    await partner.send(event, resource="track")
    async with serving(lambda request: Reply(400, b"no")) as target:
        added = await add_pipe(services, partner, target.url, target=form)
        await run_until_settled(engine, added)
        letter = await only_letter(owner, partner)
        path = url(partner, f"/{letter['statement_id']}/retry")
        wrong = letter["statement"] if form == "track" else event
        assert (await owner.post(path, json=wrong)).status_code == 400
        right = event if form == "track" else letter["statement"]
        assert (await owner.post(path, json=right)).status_code == 200
        target.script = lambda request: Reply(200)
        await run_until_settled(engine, added)
        assert await letters(services, added) == {}
        sent = orjson.loads(target.posts[-1].body)
        assert sent == (right if form == "track" else [right])
