"""Statements on the xAPI interface."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from lrs import embedded_postgres
from lrs.api.services import Services
from lrs.auth import credentials, scopes
from lrs.bootstrap.access_tokens import load_keys
from lrs.bootstrap.database import open_verified_database
from lrs.settings import Settings
from lrs.store import migrations, registry
from tests.support.app import serving
from tests.support.files import FIXTURES
from tests.support.oauth import issue_token
from tests.support.partners import Partner, new_partner
from tests.support.statements import XAPI, new_id, statement

URL = "/xapi/statements"
VERSION = "X-Experience-API-Version"
WATERMARK = "X-Experience-API-Consistent-Through"
BROKEN = {"actor": {"mbox": "nobody"}, "verb": {"id": "completed"}, "surplus": 1}
DATACAMP = {
    path.stem: path.read_bytes() for path in sorted((FIXTURES / "seeds").glob("datacamp-*.json"))
}


async def stored(partner: Partner) -> list[str]:
    return [item["id"] for item in await partner.all()]


# Authentication


async def test_basic_static_token_and_oauth2_are_accepted(
    partner: Partner, services: Services
) -> None:
    database = services.database
    static = await credentials.add_credential(
        database,
        await registry.get_partner(database, partner.name),
        kind="bearer",
        label="",
        granted=frozenset({scopes.ALL}),
        expires_at=None,
    )
    methods: list[dict[str, Any]] = [
        {"auth": (partner.key, partner.secret), "headers": XAPI},
        {"headers": XAPI | {"Authorization": f"Bearer {static.token}"}},
        {"headers": XAPI | partner.headers},
        {"headers": XAPI | {"Authorization": f"bearer {partner.token}"}},
    ]
    for method in methods:
        answer = await partner.http.post(URL, json=statement(), **method)
        assert answer.status_code == 200, answer.text
        result = await partner.http.get(URL, params={"statementId": answer.json()[0]}, **method)
        assert result.status_code == 200
    assert len(await stored(partner)) == len(methods)


async def test_invalid_credentials_return_401(partner: Partner) -> None:
    for headers in ({}, {"Authorization": "Basic x"}, {"Authorization": "Bearer a.b.c"}):
        answer = await partner.http.post(URL, json=statement(), headers=XAPI | headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
        assert answer.headers["www-authenticate"]
    requested = (await partner.http.get(URL, headers=XAPI)).headers["www-authenticate"]
    assert "Basic realm=" in requested
    assert "Bearer" in requested


async def test_expired_token_returns_401(partner: Partner, services: Services) -> None:
    tokens = await load_keys(services.settings, services.database)
    tokens.ttl_seconds = -10
    token = issue_token(tokens, partner)
    answer = await partner.http.get(URL, headers=XAPI | {"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json()["code"]) == (401, "token-expired")
    assert answer.headers["www-authenticate"].startswith('Bearer error="invalid_token"')


async def test_missing_scope_returns_403_with_its_name(
    services: Services, http: httpx.AsyncClient
) -> None:
    reader = await new_partner(services, http, frozenset({scopes.ALL_READ}))
    answer = await reader.xapi(statement())
    assert (answer.status_code, answer.json()["code"]) == (403, "missing-scope")
    assert "statements/write" in answer.json()["detail"]
    writer = await new_partner(services, http, frozenset({scopes.STATEMENTS_WRITE}))
    assert (await writer.xapi(statement())).status_code == 200
    answer = await http.get(URL, headers=XAPI, auth=(writer.key, writer.secret))
    assert (answer.status_code, answer.json()["code"]) == (403, "missing-scope")
    assert "statements/read" in answer.json()["detail"]


async def test_credential_determines_the_partner(partner: Partner, stranger: Partner) -> None:
    statement_id = new_id()
    assert (await partner.xapi(statement(id=statement_id))).status_code == 200
    other = statement(id=statement_id, verb={"id": "http://example.com/other"})
    assert (await stranger.xapi(other)).status_code == 200
    assert await stored(partner) == await stored(stranger) == [statement_id]


# Response headers


async def test_every_response_has_version_and_watermark(partner: Partner) -> None:
    auth = (partner.key, partner.secret)
    http = partner.http
    answers = {
        200: await partner.xapi(statement()),
        400: await partner.xapi(BROKEN),
        401: await http.post(URL, json=statement(), headers=XAPI),
        404: await http.get(URL, params={"statementId": new_id()}, headers=XAPI, auth=auth),
        405: await http.request("PATCH", URL, headers=XAPI, auth=auth),
    }
    sent = statement(id=new_id())
    await partner.xapi(sent)
    answers[409] = await partner.xapi({**sent, "verb": {"id": "http://example.com/v"}})
    for status, answer in answers.items():
        assert answer.status_code == status
        assert answer.headers[VERSION] == "1.0.3"
        assert datetime.fromisoformat(answer.headers[WATERMARK]).tzinfo is not None
    answer = await http.get(URL, headers=XAPI, auth=auth)
    assert (answer.headers[VERSION], WATERMARK.lower() in answer.headers) == ("1.0.3", True)


@pytest.mark.parametrize(
    ("requested", "expected"),
    [("1.0", "1.0.3"), ("1.0.1", "1.0.3"), ("2.0.0", "2.0.0"), ("2.0", "2.0.0")],
)
async def test_response_has_the_version_of_the_request(
    partner: Partner, requested: str, expected: str
) -> None:
    answer = await partner.xapi(statement(), **{VERSION: requested})
    assert (answer.status_code, answer.headers[VERSION]) == (200, expected)


@pytest.mark.parametrize("requested", [None, "", "0.95", "1.1", "3.0.0", "x"])
async def test_unsupported_version_is_refused(partner: Partner, requested: str | None) -> None:
    headers = {} if requested is None else {VERSION: requested}
    for method in ("GET", "POST"):
        answer = await partner.http.request(
            method, URL, json=statement(), headers=headers, auth=(partner.key, partner.secret)
        )
        assert (answer.status_code, answer.json()["code"]) == (400, "unsupported-version")
        assert answer.headers[VERSION] == ("2.0.0" if requested else "0.95")
        assert WATERMARK in answer.headers
    assert await stored(partner) == []


async def test_watermark_covers_the_acknowledged_statement(partner: Partner) -> None:
    answer = await partner.xapi(statement())
    listed = await partner.http.get(URL, headers=XAPI, auth=(partner.key, partner.secret))
    (result,) = listed.json()["statements"]
    assert [result["id"]] == answer.json()
    assert result["stored"] <= listed.headers[WATERMARK]


# Single statements and batches


async def test_single_statement_and_batch_return_their_ids(partner: Partner) -> None:
    one = await partner.xapi(statement())
    assert len(one.json()) == 1
    ids = [new_id() for _ in range(3)]
    batch = await partner.xapi([statement(id=item) for item in ids])
    assert batch.json() == ids
    assert sorted(await stored(partner)) == sorted([*ids, *one.json()])


async def test_repeated_statement_is_idempotent(partner: Partner) -> None:
    sent = [statement(id=new_id()), statement(id=new_id())]
    assert (await partner.xapi(sent[0])).status_code == 200
    before = await partner.all()
    for body in (sent[0], [sent[0]]):
        answer = await partner.xapi(body)
        assert (answer.status_code, answer.json()) == (200, [sent[0]["id"]])
    assert await partner.all() == before
    answer = await partner.xapi(sent)
    assert (answer.status_code, answer.json()) == (200, [item["id"] for item in sent])
    assert len(await stored(partner)) == 2


async def test_conflict_returns_409_and_stores_nothing_of_the_batch(partner: Partner) -> None:
    existing = statement(id=new_id())
    await partner.xapi(existing)
    other = {**existing, "object": {"id": "http://example.com/other"}}
    one = await partner.xapi(other)
    assert (one.status_code, one.json()["code"]) == (409, "statement-conflict")
    batch = await partner.xapi([statement(id=new_id()), other, statement()])
    assert batch.status_code == 409
    assert batch.headers["content-type"] == "application/problem+json"
    (result,) = batch.json()["results"]
    assert (result["index"], result["id"], result["outcome"]) == (1, existing["id"], "conflict")
    assert [error["pointer"] for error in result["problem"]["errors"]] == ["/object/id"]
    assert await stored(partner) == [existing["id"]]


async def test_refused_batch_reports_no_stored_item(partner: Partner) -> None:
    existing = statement(id=new_id())
    await partner.xapi(existing)
    other = {**existing, "object": {"id": "http://example.com/other"}}
    for bad in (other, BROKEN):
        answer = await partner.xapi([statement(id=new_id()), bad])
        (result,) = answer.json()["results"]
        assert (result["index"], result["status"]) == (1, answer.status_code)


async def test_invalid_statement_refuses_the_batch_with_every_invalid_item(
    partner: Partner,
) -> None:
    answer = await partner.xapi([statement(), BROKEN, statement(), {"actor": 7}, "text"])
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["code"] == "invalid-statement"
    bad = {result["index"]: result["problem"] for result in body["results"]}
    assert list(bad) == [1, 3, 4]
    assert [error["pointer"] for error in bad[1]["errors"]] == [
        "",
        "/actor/mbox",
        "/surplus",
        "/verb/id",
    ]
    assert await stored(partner) == []


async def test_repeated_id_in_a_batch_is_refused(partner: Partner) -> None:
    sent = statement(id=new_id())
    for other in (sent, {**sent, "id": sent["id"].upper()}):
        answer = await partner.xapi([statement(), sent, other])
        assert answer.status_code == 400
        (result,) = answer.json()["results"]
        problem = result["problem"]
        assert result["index"] == 2
        assert [error["pointer"] for error in problem["errors"]] == ["/id"]
    assert await stored(partner) == []


async def test_empty_batch_returns_200(partner: Partner) -> None:
    answer = await partner.xapi([])
    assert (answer.status_code, answer.json()) == (200, [])


# Vendor examples


@pytest.mark.parametrize("name", DATACAMP)
async def test_datacamp_example_is_deduplicated(partner: Partner, name: str) -> None:
    for _ in range(2):
        answer = await partner.http.post(
            URL,
            content=DATACAMP[name],
            headers={**XAPI, "Content-Type": "application/json"},
            auth=(partner.key, partner.secret),
        )
        assert answer.status_code == 200, answer.text
    (result,) = await partner.all()
    assert json.loads(DATACAMP[name]).items() <= result.items()


async def test_retried_batch_is_idempotent(partner: Partner) -> None:
    """Mazetec sends the statements of an interval with Basic credentials, and may retry."""
    batch = [
        statement(
            id=new_id(),
            actor={"mbox": f"mailto:learner{number}@example.com", "name": f"Learner {number}"},
            verb={"id": f"http://adlnet.gov/expapi/verbs/{verb}", "display": {"en-US": verb}},
            object={
                "objectType": "Activity",
                "id": f"https://maze.example/step/{number}",
                "definition": {"name": {"en-US": f"Step {number}"}},
            },
            result={"score": {"scaled": number / 100}, "completion": True, "duration": "PT5M"},
            context={
                "registration": new_id(),
                "contextActivities": {"parent": {"id": "https://maze.example/maze/1"}},
            },
            timestamp=f"2026-05-08T12:00:{number:02}.000Z",
        )
        for number, verb in enumerate(["initialized", "answered", "passed", "completed"] * 12)
    ]
    for _ in range(2):
        answer = await partner.xapi(batch, **{VERSION: "1.0.0"})
        assert (answer.status_code, answer.json()) == (200, [item["id"] for item in batch])
    assert len(await stored(partner)) == len(batch)
    # After a refused batch, it sends the statements one by one.
    batch[3]["verb"] = {"display": {}}
    batch = [{**item, "id": new_id()} for item in batch[:6]]
    assert (await partner.xapi(batch)).status_code == 400
    assert [(await partner.xapi(item)).status_code for item in batch] == [200] * 3 + [400] + [
        200
    ] * 2


# Refused requests


async def test_other_media_type_than_json_is_refused(partner: Partner) -> None:
    for content_type in ("text/plain", "application/x-www-form-urlencoded", ""):
        answer = await partner.xapi(statement(), **{"Content-Type": content_type})
        assert (answer.status_code, answer.json()["code"]) == (400, "unsupported-media-type")
    assert await stored(partner) == []


async def test_unknown_parameter_is_refused(partner: Partner) -> None:
    auth = (partner.key, partner.secret)
    for query in ("validate=true", "statementId=x", "foo"):
        answer = await partner.http.post(
            f"{URL}?{query}", json=statement(), headers=XAPI, auth=auth
        )
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid-parameter")
    answer = await partner.http.get(f"{URL}?foo=1&Agent=2", headers=XAPI, auth=auth)
    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.json()["errors"]] == ["foo", "Agent"]
    assert await stored(partner) == []


async def test_large_statement_or_body_returns_413(settings: Settings, partner: Partner) -> None:
    small = replace(settings, max_xapi_statement_bytes=2000, max_body_bytes=5000, max_batch_items=5)
    auth = (partner.key, partner.secret)
    large = statement(result={"response": "x" * 2000})
    middling = statement(result={"response": "x" * 1500})
    async with serving(small) as http:
        for body in (large, [statement(), large], [middling] * 4, [statement()] * 6):
            answer = await http.post(URL, json=body, headers=XAPI, auth=auth)
            assert (answer.status_code, answer.json()["code"]) == (413, "too-large")
            assert VERSION in answer.headers
        assert await stored(partner) == []
        assert (await http.post(URL, json=middling, headers=XAPI, auth=auth)).status_code == 200


async def test_413_reaches_a_client_that_is_still_sending(partner: Partner, server: str) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 1_000_000

    for body in (b" " * 40_000_000, pieces()):
        async with httpx.AsyncClient(base_url=server) as http:
            answer = await http.post(
                URL,
                content=body,
                headers={**XAPI, "Content-Type": "application/json"},
                auth=(partner.key, partner.secret),
            )
            assert (answer.status_code, answer.json()["code"]) == (413, "too-large")
            assert (await http.get("/healthz")).text == "ok\n"


async def test_rate_limit_returns_429(settings: Settings, partner: Partner) -> None:
    async with serving(replace(settings, rate_limit="2/minute")) as http:
        answers = [
            await http.post(URL, json=statement(), headers=XAPI, auth=(partner.key, partner.secret))
            for _ in range(3)
        ]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert int(answers[2].headers["retry-after"]) >= 1
    assert answers[2].headers[VERSION] == "1.0.3"
    assert len(await stored(partner)) == 2


async def test_full_queue_returns_503_and_stores_nothing(
    settings: Settings, partner: Partner
) -> None:
    async with serving(replace(settings, max_queued_statements=4)) as http:

        async def post(ids: list[str]) -> httpx.Response:
            return await http.post(
                URL,
                json=[statement(id=item) for item in ids],
                headers=XAPI,
                auth=(partner.key, partner.secret),
            )

        batches = [[new_id(), new_id()] for _ in range(30)]
        answers = await asyncio.gather(*map(post, batches))
    accepted: set[str] = set()
    for ids, answer in zip(batches, answers, strict=True):
        if answer.status_code == 200:
            accepted.update(ids)
        else:
            assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
            assert int(answer.headers["retry-after"]) >= 1
    assert {answer.status_code for answer in answers} == {200, 503}
    assert set(await stored(partner)) == accepted


@pytest.fixture
def data() -> Iterator[Path]:
    parent = Path(tempfile.mkdtemp(prefix="lrs-test-")).resolve()
    yield parent / "data"
    shutil.rmtree(parent)


@pytest.mark.slow
async def test_unavailable_database_returns_503_until_it_is_back(
    settings: Settings, data: Path
) -> None:
    with ExitStack() as database:
        dsn = database.enter_context(embedded_postgres.running(data))
        await migrations.migrate(dsn)
        settings = replace(
            settings,
            database_url=dsn,
            database_timeout_seconds=2.0,
            credential_cache_ttl_seconds=60,
        )
        async with serving(settings) as http:
            partner = await _only_partner(dsn, http)
            assert (await partner.xapi(statement())).status_code == 200
            database.close()
            answers = (
                await partner.xapi(statement()),
                await http.get(URL, headers=XAPI, auth=(partner.key, partner.secret)),
                await partner.send(statement()),
                await http.post("/oauth2/token", auth=("x", "y"), data={"grant_type": "x"}),
                await http.get("/readyz"),
            )
            for answer in answers:
                assert answer.status_code == 503
                # The first write may notice only then that its connection is lost.
                assert answer.json()["code"] in ("unavailable", "outcome-unknown")
                assert answer.headers["content-type"] == "application/problem+json"
                assert int(answer.headers["retry-after"]) >= 1
                assert str(data) not in answer.text
            assert (await http.get("/healthz")).status_code == 200
            database.enter_context(embedded_postgres.running(data))
            assert (await partner.xapi(statement())).status_code == 200
            # A statement whose outcome is unknown may be stored.
            codes = [answer.json()["code"] for answer in answers]
            assert 0 <= len(await partner.all()) - 2 <= codes.count("outcome-unknown")


async def _only_partner(dsn: str, http: httpx.AsyncClient) -> Partner:
    async with open_verified_database(dsn) as database:
        added = await registry.add_partner(database, "only", "", "https://only.example")
        issued = await credentials.add_credential(
            database,
            added,
            kind="client",
            label="",
            granted=frozenset({scopes.ALL}),
            expires_at=None,
        )
    partner = Partner(
        http, added.name, added.partner_id, added.home_page, issued.key, issued.secret
    )
    await partner.authenticate()
    return partner
