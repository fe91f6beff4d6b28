"""Statements on the partner interface: what is stored and returned."""

from __future__ import annotations

import json

import pytest

from tests.support.partner_statements import NOON, SEEDS, pointers
from tests.support.partners import Partner
from tests.support.statements import new_id, statement

# Responses


@pytest.mark.parametrize("organization", [None, "acme"])
async def test_single_statement_returns_an_array_with_its_id(
    partner: Partner, organization: str | None
) -> None:
    statement_id = new_id()
    answer = await partner.send(statement(id=statement_id), organization=organization)
    assert (answer.status_code, answer.json()) == (200, [statement_id])
    assert answer.headers["content-type"] == "application/json"
    (result,) = await partner.all()
    assert result["id"] == statement_id


@pytest.mark.parametrize("organization", [None, "acme"])
async def test_batch_returns_its_ids_in_order(partner: Partner, organization: str | None) -> None:
    ids = [new_id() for _ in range(20)]
    answer = await partner.send([statement(id=item) for item in ids], organization=organization)
    assert (answer.status_code, answer.json()) == (200, ids)
    assert {item["id"] for item in await partner.all()} == set(ids)


async def test_empty_batch_returns_an_empty_array(partner: Partner) -> None:
    answer = await partner.send([])
    assert (answer.status_code, answer.json()) == (200, [])


@pytest.mark.parametrize("seed", SEEDS.values(), ids=SEEDS)
@pytest.mark.parametrize("organization", [None, "acme"])
async def test_vendor_example_is_stored_as_sent(
    partner: Partner, seed: bytes, organization: str | None
) -> None:
    sent = json.loads(seed)
    answer = await partner.send(seed, organization=organization)
    assert answer.status_code == 200, answer.text
    result = (await partner.get(statementId=answer.json()[0])).json()
    assert sent.items() <= result.items()


async def test_vendor_examples_are_stored_in_one_batch(partner: Partner) -> None:
    answer = await partner.send([json.loads(seed) for seed in SEEDS.values()])
    # Percipio's two examples are the same statement without timestamp, but each is stored.
    assert answer.status_code == 200, answer.text
    assert len(set(answer.json())) == len(SEEDS)


# Stored statements


async def test_statement_is_served_byte_for_byte(partner: Partner) -> None:
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


async def test_stored_statement_has_stored_time_and_authority(partner: Partner) -> None:
    claimed = {
        "stored": "2001-01-01T00:00:00Z",
        "authority": {"mbox": "mailto:somebody.else@example.com"},
    }
    (statement_id,) = (await partner.send(statement(**claimed, timestamp=NOON))).json()
    result = (await partner.get(statementId=statement_id)).json()
    assert result["stored"] > "2025"
    assert result["timestamp"] == NOON
    assert result["authority"] == {
        "objectType": "Agent",
        "name": "tests",
        "account": {"homePage": partner.home_page, "name": partner.key},
    }


async def test_missing_timestamp_and_version_are_set(partner: Partner) -> None:
    (statement_id,) = (await partner.send(statement())).json()
    result = (await partner.get(statementId=statement_id)).json()
    assert result["timestamp"] == result["stored"]
    assert result["version"] == "1.0.0"


@pytest.mark.parametrize(
    ("header", "remaining"),
    [("1.0.3-beta", "1.0.0"), ("1.0", "1.0.0"), ("2.0.0", "2.0.0"), ("2.0", "2.0.0")],
)
@pytest.mark.parametrize("name", ["X-Experience-API-Version", "X-Experience-API"])
async def test_version_header_is_optional_and_has_two_names(
    partner: Partner, name: str, header: str, remaining: str
) -> None:
    answer = await partner.send(statement(), headers={name: header})
    assert answer.status_code == 200, answer.text
    result = (await partner.get(statementId=answer.json()[0], headers={name: header})).json()
    assert result["version"] == remaining


@pytest.mark.parametrize("name", ["X-Experience-API-Version", "X-Experience-API"])
@pytest.mark.parametrize("value", ["0.95", "3.0.0", "1.1.0", "latest", "1.0.²", "2.0."])
async def test_unsupported_version_is_refused(partner: Partner, name: str, value: str) -> None:
    headers = {name: value.encode("latin-1")}
    for answer in (
        await partner.send(statement(), headers=headers),  # type: ignore[arg-type]
        await partner.get(headers=headers),  # type: ignore[arg-type]
    ):
        assert (answer.status_code, answer.json()["code"]) == (400, "unsupported-version")


async def test_statement_version_applies_without_a_version_header(partner: Partner) -> None:
    new = {
        "contextAgents": [{"objectType": "contextAgent", "agent": {"mbox": "mailto:a@b.example"}}]
    }
    refused = await partner.send(statement(context=new))
    assert (refused.status_code, pointers(refused.json())) == (400, ["/context/contextAgents"])
    answer = await partner.send(statement(context=new, version="2.0.0"))
    assert answer.status_code == 200, answer.text


async def test_single_context_activity_becomes_an_array(partner: Partner) -> None:
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
    result = (await partner.get(statementId=statement_id)).json()
    expected = {
        "parent": [{"id": "http://example.com/parent"}],
        "other": [{"id": "http://example.com/other"}],
    }
    assert result["context"]["contextActivities"] == expected
    assert result["object"]["context"]["contextActivities"] == expected
    (statement_id,) = (await partner.send(statement(context=context))).json()
    result = (await partner.get(statementId=statement_id)).json()
    assert result["context"] == {"contextActivities": expected, "platform": "test"}


async def test_text_around_a_single_context_activity_is_kept(
    partner: Partner,
) -> None:
    numbers = '{"http://example.com/n":[12345678901234567890123,1.50,1E2,"\\u0062"]}'
    activity = f'{{"id":"http://example.com/p","definition":{{"extensions":{numbers}}}}}'
    within = {"objectType": "SubStatement", **statement(context="HERE")}
    reported = json.dumps(
        statement(id=new_id(), object=within, context="HERE"), separators=(",", ":")
    )

    def with_parent(parent: str) -> str:
        roles = f'{{"parent":{parent},"other":[]}}'
        return reported.replace('"HERE"', f'{{"contextActivities":{roles},"extensions":{numbers}}}')

    (statement_id,) = (await partner.send(with_parent(activity).encode())).json()
    served = (await partner.get(statementId=statement_id)).text
    assert served.startswith(with_parent(f"[{activity}]")[:-1])
