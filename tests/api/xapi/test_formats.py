"""The formats exact, ids and canonical of GET /statements (xAPI 1.0.3 Communication 2.1.3)."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from lrs.xapi import strict_json
from tests.support.partners import Partner
from tests.support.statements import XAPI, new_id, statement

Json = dict[str, Any]

URL = "/xapi/statements"
ANN = {"objectType": "Agent", "name": "Ann", "mbox": "mailto:ann@example.com"}
BEN = {"name": "Ben", "account": {"homePage": "http://example.com", "name": "ben"}}
TEAM = {
    "objectType": "Group",
    "name": "Team",
    "mbox": "mailto:team@example.com",
    "member": [ANN, BEN],
}
ANONYMOUS_GROUP = {"objectType": "Group", "name": "Nobodies", "member": [ANN, BEN]}
VERB = {"id": "http://example.com/verbs/did", "display": {"en-US": "did", "de-DE": "tat"}}


def activity(number: int = 1) -> Json:
    return {
        "objectType": "Activity",
        "id": f"http://example.com/activities/{number}",
        "definition": {
            "name": {"en-US": f"Activity {number}", "de-DE": f"T\u00e4tigkeit {number}"},
            "description": {"de-DE": "Eine Beschreibung", "fr": "Une description"},
            "type": "http://example.com/types/x",
            "moreInfo": "http://example.com/more",
            "extensions": {"http://example.com/x": {"name": {"en": "kept", "de": "kept"}}},
        },
    }


def question() -> Json:
    reported = activity(9)
    reported["definition"] |= {
        "interactionType": "choice",
        "correctResponsesPattern": ["a"],
        "choices": [
            {"id": "a", "description": {"en-US": "A", "de-DE": "Ah"}},
            {"id": "b", "description": {"fr": "B\u00e9"}},
        ],
    }
    return reported


ANN_ID = {"objectType": "Agent", "mbox": "mailto:ann@example.com"}
BEN_ID = {"account": BEN["account"]}
TEAM_ID = {"objectType": "Group", "mbox": "mailto:team@example.com"}
ANONYMOUS_GROUP_ID = {"objectType": "Group", "member": [ANN_ID, BEN_ID]}


async def send(partner: Partner, sent: Json, version: str = "1.0.3") -> Json:
    """Stores a statement; returns it with its id."""
    sent = {"id": new_id(), **sent}
    answer = await partner.xapi(sent, **{"X-Experience-API-Version": version})
    assert answer.status_code == 200, answer.text
    return sent


async def get(partner: Partner, languages: str | None = None, **params: str) -> httpx.Response:
    accept = {"Accept-Language": languages} if languages is not None else {}
    answer = await partner.http.get(
        URL, params=params, headers={**XAPI, **accept}, auth=(partner.key, partner.secret)
    )
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    return answer


async def formatted(partner: Partner, sent: Json, form: str, languages: str | None = None) -> Json:
    """A statement by its id, checked to be the same in a list."""
    one = (await get(partner, languages, statementId=sent["id"], format=form)).json()
    listed = (await get(partner, languages, format=form)).json()["statements"]
    assert one in listed
    return dict(one)


async def parts(partner: Partner, sent: Json, form: str, languages: str | None = None) -> Json:
    """The same without the members that the server sets."""
    result = await formatted(partner, sent, form, languages)
    return {key: result[key] for key in result if key in sent}


def everything() -> Json:
    """A statement with all members that a format changes, and some that no format changes."""
    inner = {
        "objectType": "SubStatement",
        "actor": TEAM,
        "verb": VERB,
        "object": question(),
        "context": {
            "instructor": ANN,
            "team": ANONYMOUS_GROUP,
            "contextActivities": {"parent": activity(2), "other": [activity(3)]},
        },
    }
    return {
        "actor": ANONYMOUS_GROUP,
        "verb": VERB,
        "object": inner,
        "result": {"response": "x", "extensions": {"http://example.com/x": [None, 1.0, "\u00e9"]}},
        "context": {
            "registration": new_id(),
            "instructor": TEAM,
            "team": TEAM,
            "contextActivities": {"grouping": [activity(4), activity(5)]},
            "statement": {"objectType": "StatementRef", "id": new_id()},
            "extensions": {"http://example.com/x": {"id": "kept", "name": "kept"}},
        },
        "timestamp": "2024-05-01T12:00:00.123+02:00",
    }


# exact


async def test_exact_format_equals_the_sent_statement(partner: Partner) -> None:
    sent = await send(partner, everything())
    sent["object"]["context"]["contextActivities"]["parent"] = [activity(2)]  # always an array
    for languages in (None, "de-DE", "fr"):
        assert await parts(partner, sent, "exact", languages) == sent
    assert (await get(partner, statementId=sent["id"])).json() == await formatted(
        partner, sent, "exact"
    )


async def test_exact_format_adds_no_object_type(partner: Partner) -> None:
    sent = await send(partner, statement(context={"team": {**TEAM, "member": [BEN]}}))
    assert await parts(partner, sent, "exact") == sent


# ids


async def test_ids_format_has_identifying_members_only(partner: Partner) -> None:
    sent = await send(partner, everything())
    result = await parts(partner, sent, "ids")
    assert result == {
        **sent,
        "actor": ANONYMOUS_GROUP_ID,
        "verb": {"id": VERB["id"]},
        "object": {
            "objectType": "SubStatement",
            "actor": TEAM_ID,
            "verb": {"id": VERB["id"]},
            "object": {"id": question()["id"]},
            "context": {
                "instructor": ANN_ID,
                "team": ANONYMOUS_GROUP_ID,
                "contextActivities": {
                    "parent": [{"id": activity(2)["id"]}],
                    "other": [{"id": activity(3)["id"]}],
                },
            },
        },
        "context": {
            **sent["context"],
            "instructor": TEAM_ID,
            "team": TEAM_ID,
            "contextActivities": {
                "grouping": [{"id": activity(4)["id"]}, {"id": activity(5)["id"]}]
            },
        },
    }


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (activity(), {"id": activity()["id"]}),
        (ANN, ANN_ID),
        (TEAM, TEAM_ID),
        (ANONYMOUS_GROUP, ANONYMOUS_GROUP_ID),
        ({"objectType": "Group", "openid": "http://x.example/"},) * 2,
    ],
)
async def test_ids_format_of_each_object_type(
    partner: Partner, target: Json, expected: Json
) -> None:
    sent = await send(partner, statement(object=target))
    assert (await parts(partner, sent, "ids"))["object"] == expected


async def test_ids_format_keeps_a_statement_ref(partner: Partner) -> None:
    reference = {"objectType": "StatementRef", "id": new_id()}
    sent = await send(partner, statement(object=reference))
    assert (await parts(partner, sent, "ids"))["object"] == reference


async def test_ids_format_of_the_authority_is_its_account(partner: Partner) -> None:
    sent = await send(partner, statement())
    result = await formatted(partner, sent, "ids")
    assert result["authority"] == {
        "objectType": "Agent",
        "account": {"homePage": partner.home_page, "name": partner.key},
    }


# canonical


async def test_canonical_format_has_one_language_per_map(partner: Partner) -> None:
    sent = await send(partner, everything())
    result = await parts(partner, sent, "canonical", "de, en;q=0.8")

    def german(number: int) -> Json:
        reported = activity(number)
        reported["definition"]["name"] = {"de-DE": f"T\u00e4tigkeit {number}"}
        reported["definition"]["description"] = {"de-DE": "Eine Beschreibung"}
        return reported

    requested = german(9)
    requested["definition"] = {**question()["definition"], **requested["definition"]}
    requested["definition"]["choices"] = [
        {"id": "a", "description": {"de-DE": "Ah"}},
        {"id": "b", "description": {"fr": "B\u00e9"}},
    ]
    verb = {"id": VERB["id"], "display": {"de-DE": "tat"}}
    assert result == {
        **sent,
        "verb": verb,
        "object": {
            **sent["object"],
            "verb": verb,
            "object": requested,
            "context": {
                **sent["object"]["context"],
                "contextActivities": {"parent": [german(2)], "other": [german(3)]},
            },
        },
        "context": {
            **sent["context"],
            "contextActivities": {"grouping": [german(4), german(5)]},
        },
    }


@pytest.mark.parametrize(
    ("languages", "chosen"),
    [
        ("de-DE", "de-DE"),
        ("de", "de-DE"),
        ("de-AT", "de-DE"),
        ("en-GB", "en-US"),
        ("en-US;q=0.1, de;q=0.9", "de-DE"),
        ("de;q=0, en", "en-US"),
        ("it, de", "de-DE"),
        ("DE-de", "de-DE"),
        ("it", None),
        ("*", None),
        ("", None),
        ("nonsense;;q=x", None),
        (None, None),
    ],
)
async def test_canonical_format_has_the_accepted_language(
    partner: Partner, languages: str | None, chosen: str | None
) -> None:
    sent = await send(partner, {**statement(), "verb": VERB, "object": activity()})
    result = await parts(partner, sent, "canonical", languages)
    for language_map in (result["verb"]["display"], result["object"]["definition"]["name"]):
        assert len(language_map) == 1
        assert chosen is None or chosen in language_map


async def test_canonical_format_keeps_agents_and_groups(partner: Partner) -> None:
    sent = await send(
        partner, statement(actor=TEAM, object=ANONYMOUS_GROUP, context={"team": ANONYMOUS_GROUP})
    )
    assert await parts(partner, sent, "canonical") == sent


async def test_canonical_format_adds_no_definition_to_unknown_activities(partner: Partner) -> None:
    sent = await send(partner, statement())
    assert await parts(partner, sent, "canonical", "de") == sent


# Context agents and groups, of 2.0


@pytest.mark.parametrize("form", ["exact", "ids", "canonical"])
@pytest.mark.parametrize("inside", [False, True])
async def test_context_agents_and_groups_are_formatted(
    partner: Partner, form: str, inside: bool
) -> None:
    kinds = ["http://example.com/types/owner"]

    def context(ann: Json, team: Json, nobodies: Json) -> Json:
        return {
            "contextAgents": [{"objectType": "contextAgent", "agent": ann, "relevantTypes": kinds}],
            "contextGroups": [
                {"objectType": "contextGroup", "group": team, "relevantTypes": kinds},
                {"objectType": "contextGroup", "group": nobodies},
            ],
        }

    reported = context(ANN, TEAM, ANONYMOUS_GROUP)
    if inside:
        inner = statement(context=reported, objectType="SubStatement")
        sent = await send(partner, statement(object=inner), "2.0.0")
    else:
        sent = await send(partner, statement(context=reported), "2.0.0")
    result = await parts(partner, sent, form)
    expected = context(ANN_ID, TEAM_ID, ANONYMOUS_GROUP_ID) if form == "ids" else reported
    assert (result["object"] if inside else result)["context"] == expected


# All formats


@pytest.mark.parametrize("form", ["exact", "ids", "canonical"])
async def test_pagination_keeps_the_format(partner: Partner, form: str) -> None:
    for number in range(3):
        await send(partner, {**statement(), "verb": VERB, "object": activity(number)})
    answer = await get(partner, "de", format=form, limit="1", ascending="true")
    for number in range(3):
        (result,) = answer.json()["statements"]
        keys = {"id"} if form == "ids" else {"id", "objectType", "definition"}
        assert result["object"].keys() == keys
        assert result["object"]["id"] == activity(number)["id"]
        if form == "canonical":
            assert list(result["verb"]["display"]) == ["de-DE"]
        if more := answer.json()["more"]:
            answer = await partner.http.get(
                more,
                headers={**XAPI, "Accept-Language": "de"},
                auth=(partner.key, partner.secret),
            )
    assert more == ""


@pytest.mark.parametrize("form", ["exact", "ids", "canonical"])
async def test_voided_statement_has_every_format(partner: Partner, form: str) -> None:
    sent = await send(partner, {**statement(), "verb": VERB})
    voiding = statement(
        verb={"id": "http://adlnet.gov/expapi/verbs/voided"},
        object={"objectType": "StatementRef", "id": sent["id"]},
    )
    await send(partner, voiding)
    result = (await get(partner, "de", voidedStatementId=sent["id"], format=form)).json()
    displays = {"exact": VERB["display"], "ids": None, "canonical": {"de-DE": "tat"}}
    assert result["verb"].get("display") == displays[form]


@pytest.mark.parametrize("form", ["exact", "ids", "canonical"])
async def test_partner_interface_has_the_same_formats(partner: Partner, form: str) -> None:
    sent = await send(partner, everything())
    answer = await partner.get(
        statementId=sent["id"], format=form, headers={"Accept-Language": "de"}
    )
    assert answer.json() == await formatted(partner, sent, form, "de")


async def test_head_has_the_content_length_of_the_format(partner: Partner) -> None:
    sent = await send(partner, everything())
    for form in ("exact", "ids", "canonical"):
        params = {"statementId": sent["id"], "format": form}
        answer = await partner.http.head(
            URL, params=params, headers=XAPI, auth=(partner.key, partner.secret)
        )
        got = await get(partner, **params)
        assert answer.headers["content-length"] == str(len(got.content))


@pytest.mark.parametrize("form", ["", "Exact", "id", "exact,ids"])
async def test_unknown_format_is_refused(partner: Partner, form: str) -> None:
    for params in ({"format": form}, {"format": form, "statementId": new_id()}):
        answer = await partner.http.get(
            URL, params=params, headers=XAPI, auth=(partner.key, partner.secret)
        )
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid-parameter")


async def test_numbers_keep_their_value_in_every_format(partner: Partner) -> None:
    values = [0.1, 1e300, 2**53, -(2**63), 2**64 - 1, 1.5e-7, 10**20]
    sent = await send(partner, statement(result={"extensions": {"http://example.com/x": values}}))
    for form in ("exact", "ids", "canonical"):
        answer = await get(partner, statementId=sent["id"], format=form)
        actual = json.loads(answer.text)["result"]["extensions"]["http://example.com/x"]
        assert [float(item) for item in actual] == [float(item) for item in values]


@pytest.mark.parametrize("format_", ["exact", "ids", "canonical"])
async def test_numbers_are_returned_as_they_were_sent(partner: Partner, format_: str) -> None:
    numbers = "[123456789012345678901234567890,1.50,-0.0,1e5,0.1000000000000000055511151231257827]"
    sub = '{"objectType":"SubStatement","actor":%s,"verb":%s,"object":{"id":"http://e.org/a"},'
    agent, verb = '{"mbox":"mailto:a@b.c"}', '{"id":"http://e.org/v"}'
    context = f'"context":{{"extensions":{{"http://e.org/x":{numbers}}}}}'
    text = f'{{"actor":{agent},"verb":{verb},"object":{sub % (agent, verb)}{context}}}}}'
    sent = await partner.http.post(
        "/xapi/statements",
        content=text,
        headers={**XAPI, "Content-Type": "application/json"},
        auth=(partner.key, partner.secret),
    )
    assert sent.status_code == 200, sent.text
    response = await partner.http.get(
        "/xapi/statements",
        params={"format": format_},
        headers=XAPI,
        auth=(partner.key, partner.secret),
    )
    assert f'"http://e.org/x":{numbers}' in response.text


@pytest.mark.parametrize("format_", ["ids", "canonical"])
async def test_deeply_nested_statement_is_formatted(partner: Partner, format_: str) -> None:
    depth = strict_json.MAX_DEPTH - 4
    nested = "[" * depth + "1.5" + "]" * depth
    sent = await partner.xapi(
        statement(context={"extensions": {"http://e.org/x": json.loads(nested)}})
    )
    assert sent.status_code == 200, sent.text
    response = await partner.http.get(
        "/xapi/statements",
        params={"format": format_},
        headers=XAPI,
        auth=(partner.key, partner.secret),
    )
    assert nested in response.text
