"""Numbers are returned as they were sent: in merged definitions and documents too."""

from __future__ import annotations

import json

import httpx
import pytest

from lrs.xapi import stored_numbers, strict_json
from tests.support.entities import ACTIVITY, activity, send
from tests.support.partners import Partner
from tests.support.statements import JSON, XAPI, new_id, statement

NUMBERS = (
    "[123456789012345678901234567890,1.50,1.0,1E5,1e-7,-0.0,-0.5,0.1000000000000000055511151231257827,"
    '1e300,18446744073709551616,"plain","\ue000","\ue000number:1","\ue000string:"]'
)
LONG = "0." + "1" * 20_000


def defining(extension: str) -> str:
    """The text of a statement whose activity has an extension of this text."""
    return (
        '{"actor":{"mbox":"mailto:a@b.c"},"verb":{"id":"http://e.org/v"},'
        f'"object":{{"id":"{ACTIVITY}",'
        f'"definition":{{"extensions":{{"http://e.org/x":{extension}}}}}}}}}'
    )


async def sent(partner: Partner, text: str, version: str = "1.0.3") -> str:
    response = await partner.http.post(
        "/xapi/statements",
        content=text.encode(),
        headers={**XAPI, **JSON, **partner.headers, "X-Experience-API-Version": version},
    )
    assert response.status_code == 200, response.text
    return str(response.json()[0])


async def get(partner: Partner, path: str, **params: str) -> httpx.Response:
    response = await partner.http.get(path, params=params, headers={**XAPI, **partner.headers})
    assert response.status_code == 200, response.text
    return response


async def test_numbers_of_a_merged_definition_are_as_sent(partner: Partner) -> None:
    statement_id = await sent(partner, defining(NUMBERS))
    await sent(partner, defining("1").replace("/x", "/y"))
    expected = f'"http://e.org/x":{NUMBERS}'
    for params in ({"statementId": statement_id}, {"limit": "2"}):
        canonical = await get(partner, "/xapi/statements", format="canonical", **params)
        assert expected in canonical.text
        assert '"http://e.org/y":1' in canonical.text
    assert expected in (await get(partner, "/xapi/activities", activityId=ACTIVITY)).text


@pytest.mark.parametrize("number", ["1.5", "1.50", "2E3", "-0.0", LONG])
async def test_the_latest_number_wins(partner: Partner, number: str) -> None:
    await sent(partner, defining("7"))
    await sent(partner, defining(number))
    response = await get(partner, "/xapi/activities", activityId=ACTIVITY)
    assert f'"http://e.org/x":{number}}}' in response.text


async def test_number_of_a_substatement_and_context_is_as_sent(partner: Partner) -> None:
    inner = json.loads(defining("1")) | {"object": {"id": "http://e.org/in"}}
    text = json.dumps(
        statement(
            object={"objectType": "SubStatement", **inner},
            context={
                "contextActivities": {
                    "grouping": {
                        "id": ACTIVITY,
                        "definition": {"extensions": {"http://e.org/x": 3}},
                    }
                }
            },
        )
    )
    assert '"http://e.org/x": 3' in text
    await sent(partner, text.replace('"http://e.org/x": 3', '"http://e.org/x": 1E+2'))
    response = await get(partner, "/xapi/activities", activityId=ACTIVITY)
    assert '"http://e.org/x":1E+2' in response.text


async def test_marked_text_in_a_name_is_as_sent(partner: Partner) -> None:
    name = {"en": "\ue000number:1", "de": "\ue000string:x"}
    await send(partner, statement(object={"id": ACTIVITY, "definition": {"name": name}}))
    assert (await activity(partner))["definition"]["name"] == name


def test_exact_number_is_a_double_for_reports() -> None:
    definition = '{"extensions":{"x":[1E5,123456789012345678901234567890,1.50,7,"\ue000"]}}'
    text = stored_numbers.dump(strict_json.loads_exact(definition.encode())).decode()
    extensions = stored_numbers.load_rounded(text)["extensions"]
    assert extensions == {"x": [1e5, 123456789012345678901234567890.0, 1.5, 7, "\ue000"]}


# Ids


async def test_id_in_capitals_is_answered_as_sent(partner: Partner) -> None:
    first, second, third = (new_id().upper() for _ in range(3))
    response = await partner.xapi([statement(id=first), statement(id=second)])
    assert response.json() == [first, second]
    assert (await partner.send(statement(id=third))).json() == [third]
    for sent_id in (first, third):
        for written in (sent_id, sent_id.lower()):
            response = await get(partner, "/xapi/statements", statementId=written)
            assert response.json()["id"] == sent_id
    assert (await partner.xapi(statement(id=first))).json() == [first]
    conflict = await partner.send([statement(id=first, result={"success": True}), statement()])
    assert conflict.json()["results"][0]["id"] == first
    invalid = await partner.send([{"id": first}, statement()])
    assert invalid.json()["results"][0]["id"] == first


async def test_put_of_an_id_in_capitals_stores_it_as_sent(partner: Partner) -> None:
    sent_id = new_id().upper()
    response = await partner.http.put(
        f"/xapi/statements?statementId={sent_id}",
        json=statement(),
        headers={**XAPI, **partner.headers},
    )
    assert response.status_code == 204
    stored = await get(partner, "/xapi/statements", statementId=sent_id.lower())
    assert stored.json()["id"] == sent_id
