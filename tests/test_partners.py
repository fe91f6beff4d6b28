"""The partner interface for statements, as a partner's own server meets it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx
import msgspec
import pytest
from conftest import FIXTURES, new_partner
from support import JSON, Partner, new_id, statement

from lrs import bootstrap
from lrs.api.services import Services
from lrs.auth import scopes

NOON = "2026-05-08T12:00:00Z"
SEEDS = {
    path.stem: path.read_bytes()
    for pattern in ("datacamp-*.json", "percipio-statement*.json", "canvas-*.json")
    for path in sorted((FIXTURES / "seeds").glob(pattern))
}
BROKEN = {"actor": {"mbox": "nobody"}, "verb": {"id": "completed"}, "surplus": 1}


def of_size(size: int, **members: Any) -> bytes:
    """A valid statement of exactly `size` bytes, some of them white space."""
    text = json.dumps(statement(**members), indent=1)
    assert len(text) < size
    return (text[:-1] + " " * (size - len(text)) + "}").encode()


def pointers(problem: dict[str, Any]) -> list[str]:
    return [error["pointer"] for error in problem["errors"]]


def outcomes(answer: httpx.Response) -> list[str]:
    return [result["outcome"] for result in answer.json()["results"]]


# Accepted


@pytest.mark.parametrize("organization", [None, "acme"])
async def test_one_statement_is_answered_with_its_id_in_an_array(
    partner: Partner, organization: str | None
) -> None:
    statement_id = new_id()
    answer = await partner.send(statement(id=statement_id), organization=organization)
    assert (answer.status_code, answer.json()) == (200, [statement_id])
    assert answer.headers["content-type"] == "application/json"
    (found,) = await partner.all()
    assert found["id"] == statement_id


@pytest.mark.parametrize("organization", [None, "acme"])
async def test_a_batch_is_answered_with_its_ids_in_order(
    partner: Partner, organization: str | None
) -> None:
    ids = [new_id() for _ in range(20)]
    answer = await partner.send([statement(id=each) for each in ids], organization=organization)
    assert (answer.status_code, answer.json()) == (200, ids)
    assert {each["id"] for each in await partner.all()} == set(ids)


async def test_an_empty_batch_is_answered_with_an_empty_array(partner: Partner) -> None:
    answer = await partner.send([])
    assert (answer.status_code, answer.json()) == (200, [])


@pytest.mark.parametrize("seed", SEEDS.values(), ids=SEEDS)
@pytest.mark.parametrize("organization", [None, "acme"])
async def test_every_vendors_example_is_stored_as_sent(
    partner: Partner, seed: bytes, organization: str | None
) -> None:
    sent = json.loads(seed)
    answer = await partner.send(seed, organization=organization)
    assert answer.status_code == 200, answer.text
    found = (await partner.get(statementId=answer.json()[0])).json()
    assert sent.items() <= found.items()


async def test_every_vendors_example_is_stored_in_one_batch(partner: Partner) -> None:
    answer = await partner.send([json.loads(seed) for seed in SEEDS.values()])
    # Percipio's two samples are one statement and carry no time: nothing tells them apart.
    assert answer.status_code == 200, answer.text
    assert len(set(answer.json())) == len(SEEDS)


# What the store makes of a statement


async def test_the_bytes_of_a_statement_are_served_as_they_were_sent(partner: Partner) -> None:
    statement_id = new_id()
    object_ = (
        '{"definition":{"extensions":{"http://e.example/x":{"z":1.10,"a":1e2,"i":'
        '12345678901234567890,"m":-0.0,"u":"\\u00e9\\ud83d\\ude00\\/é","t":[1.0,[],{}]}},'
        '"name":{"de":"Käse\\n"}},"id":"http://example.com/course/1"}'
    )
    sent = (
        f'{{ "verb":{{"id":"http://adlnet.gov/expapi/verbs/completed"}},\n "object":{object_},'
        f'"id":"{statement_id}",\t"actor": {{"mbox":"mailto:learner@example.com"}} }}'
    )
    assert (await partner.send(sent.encode())).status_code == 200
    served = (await partner.get(statementId=statement_id)).text
    assert object_ in served
    assert served.index('"verb"') < served.index('"object"') < served.index('"actor"')
    listed = (await partner.get()).text
    assert served in listed


async def test_the_store_says_when_and_by_whom_it_was_told(partner: Partner) -> None:
    claimed = {
        "stored": "2001-01-01T00:00:00Z",
        "authority": {"mbox": "mailto:somebody.else@example.com"},
    }
    (statement_id,) = (await partner.send(statement(**claimed, timestamp=NOON))).json()
    found = (await partner.get(statementId=statement_id)).json()
    assert found["stored"] > "2025"
    assert found["timestamp"] == NOON
    assert found["authority"] == {
        "objectType": "Agent",
        "name": "tests",
        "account": {"homePage": partner.home_page, "name": partner.key},
    }


async def test_a_statement_without_a_time_or_a_version_gets_them(partner: Partner) -> None:
    (statement_id,) = (await partner.send(statement())).json()
    found = (await partner.get(statementId=statement_id)).json()
    assert found["timestamp"] == found["stored"]
    assert found["version"] == "1.0.0"


@pytest.mark.parametrize(
    ("header", "kept"), [("1.0.3", "1.0.0"), ("1.0", "1.0.0"), ("2.0.0", "2.0.0"), ("2.0", "2.0.0")]
)
@pytest.mark.parametrize("name", ["X-Experience-API-Version", "X-Experience-API"])
async def test_the_version_header_is_optional_and_has_two_names(
    partner: Partner, name: str, header: str, kept: str
) -> None:
    answer = await partner.send(statement(), headers={name: header})
    assert answer.status_code == 200, answer.text
    found = (await partner.get(statementId=answer.json()[0], headers={name: header})).json()
    assert found["version"] == kept


@pytest.mark.parametrize("name", ["X-Experience-API-Version", "X-Experience-API"])
@pytest.mark.parametrize("value", ["0.95", "3.0.0", "1.1.0", "latest", "1.0.²", "2.0."])
async def test_an_unsupported_version_is_refused(partner: Partner, name: str, value: str) -> None:
    headers = {name: value.encode("latin-1")}
    for answer in (
        await partner.send(statement(), headers=headers),  # type: ignore[arg-type]
        await partner.get(headers=headers),  # type: ignore[arg-type]
    ):
        assert (answer.status_code, answer.json()["code"]) == (400, "unsupported-version")


async def test_a_statements_own_version_decides_where_no_header_does(partner: Partner) -> None:
    new = {
        "contextAgents": [{"objectType": "contextAgent", "agent": {"mbox": "mailto:a@b.example"}}]
    }
    refused = await partner.send(statement(context=new))
    assert (refused.status_code, pointers(refused.json())) == (400, ["/context/contextAgents"])
    answer = await partner.send(statement(context=new, version="2.0.0"))
    assert answer.status_code == 200, answer.text


async def test_single_context_activities_become_arrays(partner: Partner) -> None:
    context = {
        "contextActivities": {
            "parent": {"id": "http://example.com/parent"},
            "other": [{"id": "http://example.com/other"}],
        },
        "platform": "test",
    }
    within = {k: v for k, v in context.items() if k != "platform"}
    target = {"objectType": "SubStatement", **statement(context=within)}
    (statement_id,) = (await partner.send(statement(object=target, context=within))).json()
    found = (await partner.get(statementId=statement_id)).json()
    expected = {
        "parent": [{"id": "http://example.com/parent"}],
        "other": [{"id": "http://example.com/other"}],
    }
    assert found["context"]["contextActivities"] == expected
    assert found["object"]["context"]["contextActivities"] == expected
    (statement_id,) = (await partner.send(statement(context=context))).json()
    found = (await partner.get(statementId=statement_id)).json()
    assert found["context"] == {"contextActivities": expected, "platform": "test"}


async def test_what_stands_beside_a_single_context_activity_is_served_as_it_was_sent(
    partner: Partner,
) -> None:
    numbers = '{"http://example.com/n":[12345678901234567890123,1.50,1E2,"\\u0062"]}'
    activity = f'{{"id":"http://example.com/p","definition":{{"extensions":{numbers}}}}}'
    within = {"objectType": "SubStatement", **statement(context="HERE")}
    told = json.dumps(statement(id=new_id(), object=within, context="HERE"), separators=(",", ":"))

    def with_parent(parent: str) -> str:
        roles = f'{{"parent":{parent},"other":[]}}'
        return told.replace('"HERE"', f'{{"contextActivities":{roles},"extensions":{numbers}}}')

    (statement_id,) = (await partner.send(with_parent(activity).encode())).json()
    served = (await partner.get(statementId=statement_id)).text
    assert served.startswith(with_parent(f"[{activity}]")[:-1])


# Identity


async def test_a_known_statement_is_a_duplicate(partner: Partner) -> None:
    sent = statement(id=new_id())
    await partner.send(sent)
    (before,) = await partner.all()
    answer = await partner.send(sent)
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["code"], problem["id"]) == ("duplicate", sent["id"])
    assert "errors" not in problem
    assert await partner.all() == [before]


async def test_another_statement_under_a_known_id_is_a_conflict_and_the_paths_are_named(
    partner: Partner,
) -> None:
    sent = statement(id=new_id(), result={"score": {"scaled": 0.5}, "success": True})
    await partner.send(sent)
    (before,) = await partner.all()
    other = {
        **sent,
        "verb": {"id": "http://adlnet.gov/expapi/verbs/failed"},
        "result": {"score": {"scaled": 0.4}, "success": True},
    }
    answer = await partner.send(other)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (409, "statement-conflict")
    assert pointers(problem) == ["/result/score/scaled", "/verb/id"]
    assert await partner.all() == [before]


async def test_a_batch_of_known_statements_is_409_with_each_outcome(partner: Partner) -> None:
    sent = [statement(id=new_id()) for _ in range(2)]
    await partner.send(sent)
    sent[1]["object"] = {"id": "http://example.com/course/2"}
    answer = await partner.send(sent)
    assert answer.status_code == 409
    assert outcomes(answer) == ["duplicate", "conflict"]
    assert answer.json()["summary"] == {"received": 2, "conflict": 1, "duplicate": 1}
    assert pointers(answer.json()["results"][1]["problem"]) == ["/object/id"]


async def test_of_ids_repeated_in_a_batch_the_first_wins(partner: Partner) -> None:
    first, other = statement(id=new_id()), {"id": "http://example.com/course/other"}
    answer = await partner.send([first, {**first, "object": other}, first])
    assert answer.status_code == 207
    assert outcomes(answer) == ["stored", "conflict", "duplicate"]
    (found,) = await partner.all()
    assert found["object"] == first["object"]


async def test_an_id_is_the_same_in_any_letter_case(partner: Partner) -> None:
    sent = statement(id=new_id())
    assert (await partner.send(sent)).status_code == 200
    answer = await partner.send({**sent, "id": sent["id"].upper()})
    assert (answer.status_code, answer.json()["code"]) == (409, "duplicate")
    assert (await partner.get(statementId=sent["id"].upper())).status_code == 200


async def test_a_statement_with_a_time_but_no_id_is_known_again(partner: Partner) -> None:
    sent = json.loads(SEEDS["datacamp-completed-course-email"])
    first = await partner.send(sent)
    assert first.status_code == 200
    again = await partner.send(sent)
    assert (again.status_code, again.json()["code"]) == (409, "duplicate")
    assert again.json()["id"] == first.json()[0]
    assert UUID(first.json()[0]).version == 5
    assert len(await partner.all()) == 1


async def test_the_same_instant_written_otherwise_is_the_same_statement(partner: Partner) -> None:
    assert (await partner.send(statement(timestamp=NOON))).status_code == 200
    for written in ("2026-05-08T14:00:00+02:00", "2026-05-08T12:00:00.000Z"):
        answer = await partner.send(statement(timestamp=written))
        assert (answer.status_code, answer.json()["code"]) == (409, "duplicate")
    another = await partner.send(statement(timestamp="2026-05-08T12:00:00.001Z"))
    assert another.status_code == 200


async def test_the_same_statement_of_two_organizations_is_two(partner: Partner) -> None:
    for organization in (None, "acme", "zenith"):
        answer = await partner.send(statement(timestamp=NOON), organization=organization)
        assert answer.status_code == 200
    assert len(await partner.all()) == 3


async def test_a_statement_with_neither_id_nor_time_is_always_new(partner: Partner) -> None:
    ids = [(await partner.send(statement())).json()[0] for _ in range(2)]
    assert [UUID(each).version for each in ids] == [4, 4]
    assert len(await partner.all()) == 2


# Refused, item by item


async def test_a_broken_statement_is_told_every_violation(partner: Partner) -> None:
    answer = await partner.send(BROKEN)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"] == "invalid-statement"
    assert pointers(problem) == ["", "/actor/mbox", "/surplus", "/verb/id"]
    assert all(error["detail"] and error["requirement"] for error in problem["errors"])
    assert await partner.all() == []


async def test_a_batch_with_some_broken_items_is_207_and_the_others_are_stored(
    partner: Partner,
) -> None:
    good, known = statement(id=new_id()), statement(id=new_id())
    await partner.send(known)
    answer = await partner.send(
        [good, BROKEN, known, 7, {**known, "actor": {"mbox": "mailto:a@b.c"}}]
    )
    assert answer.status_code == 207
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body["summary"] == {
        "received": 5,
        "conflict": 1,
        "duplicate": 1,
        "invalid": 2,
        "stored": 1,
    }
    results = body["results"]
    assert [result["index"] for result in results] == [0, 1, 2, 3, 4]
    assert [result["status"] for result in results] == [200, 400, 409, 400, 409]
    assert outcomes(answer) == ["stored", "invalid", "duplicate", "invalid", "conflict"]
    assert [result["id"] for result in results] == [
        good["id"],
        None,
        known["id"],
        None,
        known["id"],
    ]
    assert not any(result["retryable"] for result in results)
    assert results[0]["problem"] is None
    assert pointers(results[1]["problem"]) == ["", "/actor/mbox", "/surplus", "/verb/id"]
    assert pointers(results[3]["problem"]) == [""]
    assert pointers(results[4]["problem"]) == ["/actor/mbox"]
    assert {each["id"] for each in await partner.all()} == {good["id"], known["id"]}


async def test_a_batch_of_broken_items_is_400_with_each_outcome(partner: Partner) -> None:
    answer = await partner.send([BROKEN, {}, None])
    assert answer.status_code == 400
    assert outcomes(answer) == ["invalid"] * 3
    assert answer.json()["summary"] == {"received": 3, "invalid": 3}


async def test_a_batch_of_large_items_is_413_with_each_outcome(partner: Partner) -> None:
    answer = await partner.send(b"[" + of_size(16_385) + b"," + of_size(20_000) + b"]")
    assert answer.status_code == 413
    assert outcomes(answer) == ["too_large"] * 2


async def test_a_statement_may_have_16384_bytes_as_sent(partner: Partner) -> None:
    assert (await partner.send(of_size(16_384))).status_code == 200
    answer = await partner.send(of_size(16_385))
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")
    # White space around a statement is not part of it.
    assert (await partner.send(b"\n " + of_size(16_384) + b" \n")).status_code == 200
    assert len(await partner.all()) == 2


async def test_the_limit_holds_for_each_item_of_a_batch(partner: Partner) -> None:
    answer = await partner.send(b"[" + of_size(16_384) + b" , " + of_size(16_385) + b"]")
    assert answer.status_code == 207
    assert outcomes(answer) == ["stored", "too_large"]
    assert answer.json()["results"][1]["problem"]["code"] == "too-large"


async def test_characters_count_as_the_bytes_they_are_sent_as(partner: Partner) -> None:
    def named(characters: int) -> bytes:
        actor = {"mbox": "mailto:a@b.example", "name": "ä" * characters}
        return json.dumps(statement(actor=actor), ensure_ascii=False).encode()

    fitting = 8_192 - 100
    assert len(named(fitting)) <= 16_384
    assert (await partner.send(named(fitting))).status_code == 200
    assert (await partner.send(named(8_192))).status_code == 413


async def test_an_atomic_item_is_refused_without_stopping_others_in_any_place(
    partner: Partner,
) -> None:
    for place in range(3):
        batch: list[Any] = [statement(), statement()]
        batch.insert(place, BROKEN)
        answer = await partner.send(batch)
        assert [result["status"] for result in answer.json()["results"]].index(400) == place
    assert len(await partner.all()) == 6


# Refused as a whole


async def test_a_batch_has_a_greatest_length(partner: Partner) -> None:
    answer = await partner.send(b"[" + b",".join([b"{}"] * 1001) + b"]")
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")
    assert "1001" in answer.json()["detail"]
    assert (await partner.send([{}] * 1000)).status_code == 400


async def test_a_body_that_is_declared_too_large_is_not_read(
    partner: Partner, services: Services
) -> None:
    read: list[bytes] = []

    async def body() -> AsyncIterator[bytes]:
        read.append(b"x")
        yield b"x"

    limit = services.settings.body_bytes
    answer = await partner.http.post(
        partner.url("statements"),
        content=body(),
        headers={**partner.headers, **JSON, "Content-Length": str(limit + 1)},
    )
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")
    assert read == []


async def test_a_chunked_body_is_read_no_further_than_the_limit(
    partner: Partner, services: Services
) -> None:
    sent = 0
    chunk = b" " * 1_048_576

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(services.settings.body_bytes // len(chunk) + 100):
            sent += len(chunk)
            yield chunk

    answer = await partner.http.post(
        partner.url("statements"), content=body(), headers={**partner.headers, **JSON}
    )
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")
    assert sent <= services.settings.body_bytes + 2 * len(chunk)


async def test_a_large_body_is_refused_on_a_real_connection(partner: Partner, server: str) -> None:
    async with httpx.AsyncClient(base_url=server) as client:
        answer = await client.post(
            partner.url("statements"),
            content=b" " * 20_000_000,
            headers={**partner.headers, **JSON},
        )
        # The token's issuer is not this server's: the door is closed before the body is read.
        assert answer.status_code == 401
        assert (await client.get("/healthz")).status_code == 200


async def test_only_json_is_read(partner: Partner) -> None:
    for content_type in ("text/plain", "application/x-www-form-urlencoded", ""):
        answer = await partner.send(statement(), headers={"Content-Type": content_type})
        assert (answer.status_code, answer.json()["code"]) == (400, "unsupported-media-type")
    for content_type in ("application/json; charset=utf-8", "Application/JSON"):
        answer = await partner.send(statement(), headers={"Content-Type": content_type})
        assert answer.status_code == 200


# Dry run


async def test_a_dry_run_says_what_would_happen_and_stores_nothing(partner: Partner) -> None:
    known = statement(id=new_id())
    await partner.send(known)
    new = statement(id=new_id())
    batch = [
        new,
        known,
        {**known, "verb": {"id": "http://example.com/verb"}},
        BROKEN,
        new,
        {**new, "verb": {"id": "http://example.com/verb"}},
    ]
    answer = await partner.send(batch, params={"validate": "true"})
    assert answer.status_code == 207
    assert outcomes(answer) == [
        "stored",
        "duplicate",
        "conflict",
        "invalid",
        "duplicate",
        "conflict",
    ]
    assert answer.json()["dry_run"] is True
    assert pointers(answer.json()["results"][5]["problem"]) == ["/verb/id"]
    assert [each["id"] for each in await partner.all()] == [known["id"]]
    real = await partner.send(batch, params={"validate": "false"})
    assert outcomes(real) == outcomes(answer)
    assert "dry_run" not in real.json()


@pytest.mark.parametrize(("body", "status"), [(statement(), 200), (BROKEN, 400)])
async def test_a_dry_run_of_one_statement_has_the_status_it_would_have(
    partner: Partner, body: Any, status: int
) -> None:
    answer = await partner.send(body, params={"validate": "true"})
    assert answer.status_code == status
    assert answer.json()["summary"]["received"] == 1
    assert await partner.all() == []


@pytest.mark.parametrize(
    "query", ["validate=yes", "validate=", "dry=true", "validate=true&validate=false"]
)
async def test_no_other_parameter_is_taken(partner: Partner, query: str) -> None:
    answer = await partner.http.post(
        f"{partner.url('statements')}?{query}", json=statement(), headers=partner.headers
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-parameter")
    assert await partner.all() == []


# Who may


async def ask(partner: Partner, headers: dict[str, str], path: str = "") -> list[httpx.Response]:
    path = path or partner.url("statements")
    return [
        await partner.http.post(path, json=statement(), headers=headers),
        await partner.http.get(path, headers=headers),
    ]


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "Bearer",
        "Bearer ",
        "Bearer nonsense",
        "Bearer not.a.token",
        "Bearer a.b",
        "bearer eyJhbGciOiJub25lIn0.e30.",
        "Basic dTpw",
        "Digest x",
        "nonsense",
    ],
)
async def test_without_a_good_token_it_is_401(partner: Partner, authorization: str | None) -> None:
    headers = {"Authorization": authorization} if authorization is not None else {}
    for answer in await ask(partner, headers):
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.headers["content-type"] == "application/problem+json"
    assert await partner.all() == []


async def test_basic_credentials_are_not_taken_even_after_they_were_elsewhere(
    partner: Partner, services: Services
) -> None:
    basic = httpx.BasicAuth(partner.key, partner.secret)
    for pause in (0.0, services.settings.credential_cache_seconds * 2):
        assert (await partner.xapi(statement())).status_code == 200
        await asyncio.sleep(pause)
        answer = await partner.http.get(partner.url("statements"), auth=basic)
        assert answer.status_code == 401


async def expired(services: Services, partner: Partner) -> dict[str, str]:
    tokens = await bootstrap.load_keys(services.settings, services.authenticator.registry)
    tokens.lifetime = -10
    token = tokens.issue(partner.key, frozenset({scopes.ALL}))
    return {"Authorization": f"Bearer {token}"}


async def test_an_expired_token_is_403(partner: Partner, services: Services) -> None:
    for answer in await ask(partner, await expired(services, partner)):
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        assert answer.headers["www-authenticate"].startswith('Bearer error="invalid_token"')
    assert await partner.all() == []


async def test_a_token_that_expires_while_it_is_remembered_is_403(
    partner: Partner, services: Services
) -> None:
    settings = msgspec.structs.replace(services.settings, access_token_seconds=1)
    tokens = await bootstrap.load_keys(settings, services.authenticator.registry)
    headers = {"Authorization": f"Bearer {tokens.issue(partner.key, frozenset({scopes.ALL}))}"}
    assert [answer.status_code for answer in await ask(partner, headers)] == [200, 200]
    await asyncio.sleep(1.1)
    assert [answer.status_code for answer in await ask(partner, headers)] == [403, 403]


@pytest.mark.parametrize("organization", ["", "/organizations/acme"])
async def test_another_partners_path_is_403(
    partner: Partner, stranger: Partner, organization: str
) -> None:
    for name in (stranger.name, "no-such-partner", "%00", "x" * 1000):
        path = f"/v1/partners/{name}{organization}/statements"
        for answer in await ask(partner, partner.headers, path):
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert await stranger.all() == []


async def test_a_token_without_the_scope_is_403_and_names_it(
    services: Services, http: httpx.AsyncClient
) -> None:
    reader = await new_partner(services, http, frozenset({scopes.STATEMENTS_READ}))
    answer = await reader.send(statement())
    assert (answer.status_code, answer.json()["code"]) == (403, "missing-scope")
    assert "statements/write" in answer.json()["detail"]
    challenge = answer.headers["www-authenticate"]
    assert challenge == 'Bearer error="insufficient_scope", scope="statements/write"'
    assert (await reader.get()).status_code == 200
    writer = await new_partner(services, http, frozenset({scopes.STATEMENTS_WRITE}))
    assert (await writer.send(statement())).status_code == 200
    assert (await writer.get()).json()["code"] == "missing-scope"


async def test_whoever_may_read_only_its_own_sees_only_its_own(
    services: Services, partner: Partner
) -> None:
    registry = services.authenticator.registry
    issued = await bootstrap.add_credential(
        registry,
        await registry.partner(partner.name),
        kind="client",
        label="",
        granted=frozenset({scopes.STATEMENTS_WRITE, scopes.STATEMENTS_READ_MINE}),
        expires_at=None,
    )
    colleague = Partner(
        partner.http, partner.name, partner.partner_id, partner.home_page, issued.key, issued.secret
    )
    await colleague.authenticate()
    (theirs,) = (await partner.send(statement())).json()
    (own,) = (await colleague.send(statement())).json()
    assert [each["id"] for each in await colleague.all()] == [own]
    assert (await colleague.get(statementId=theirs)).status_code == 404
    assert (await colleague.get(statementId=own)).status_code == 200
    assert {each["id"] for each in await partner.all()} == {theirs, own}


# Apart


async def test_partners_never_meet(partner: Partner, stranger: Partner) -> None:
    statement_id = new_id()
    ours = statement(id=statement_id)
    theirs = statement(id=statement_id, object={"id": "http://example.com/course/theirs"})
    assert (await partner.send(ours)).status_code == 200
    assert (await stranger.get(statementId=statement_id)).status_code == 404
    assert (await stranger.send(theirs)).status_code == 200
    for who, sent in ((partner, ours), (stranger, theirs)):
        assert (await who.get(statementId=statement_id)).json()["object"] == sent["object"]
        assert len(await who.all()) == 1
    assert (await partner.send(ours)).json()["code"] == "duplicate"


async def test_another_partners_cursor_shows_nothing_of_it(
    partner: Partner, stranger: Partner
) -> None:
    await partner.send([statement() for _ in range(3)])
    await stranger.send([statement() for _ in range(3)])
    more = (await partner.get(limit=1)).json()["more"]
    answer = await stranger.http.get(
        more.replace(partner.name, stranger.name), headers=stranger.headers
    )
    own = {each["id"] for each in await stranger.all()}
    assert {each["id"] for each in answer.json()["statements"]} <= own
    assert (await stranger.http.get(more, headers=stranger.headers)).status_code == 403


async def test_an_organizations_list_holds_only_its_own(partner: Partner) -> None:
    organizations: tuple[str | None, ...] = (None, "acme", "Ünï org?&#%+")
    ids = {}
    for organization in organizations:
        quoted = None if organization is None else quote(organization, safe="")
        (ids[organization],) = (await partner.send(statement(), organization=quoted)).json()
    for organization in organizations[1:]:
        assert organization is not None
        quoted = quote(organization, safe="")
        answer = await partner.get(quoted)
        assert [each["id"] for each in answer.json()["statements"]] == [ids[organization]]
        one = await partner.get(quoted, statementId=ids[organization])
        assert one.status_code == 200
        assert (await partner.get(quoted, statementId=ids[None])).status_code == 404
    assert {each["id"] for each in await partner.all()} == set(ids.values())
    assert (await partner.get("ACME")).json()["statements"] == []


@pytest.mark.parametrize("organization", ["acme", "Ünï%20org%3F%26%23%25+"])
async def test_a_page_of_an_organization_leads_to_the_next_of_the_same(
    partner: Partner, organization: str
) -> None:
    await partner.send([statement() for _ in range(3)])
    ids = (await partner.send([statement()] * 5, organization=organization)).json()
    found = []
    answer = await partner.get(organization, limit=2)
    while True:
        found += [each["id"] for each in answer.json()["statements"]]
        if not answer.json()["more"]:
            break
        answer = await partner.http.get(answer.json()["more"], headers=partner.headers)
    assert sorted(found) == sorted(ids)
