"""What is known of agents, activities and the server: gathered from all statements."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import XAPI, Partner, new_id, serving, statement

from lrs.api.services import Services
from lrs.settings import Settings
from lrs.store.statements import definitions
from lrs.store.statements.definitions import Remembered
from lrs.xapi.definitions import merge

Json = dict[str, Any]

VERSION = "X-Experience-API-Version"
ACTIVITY = "http://example.com/course/1"
LEARNER = {"mbox": "mailto:learner@example.com"}
IDENTIFIERS: list[Json] = [
    {"mbox": "mailto:ann@example.com"},
    {"mbox_sha1sum": "ebd31e95054c018b10727ccffd2ef2ec3a016ee9"},
    {"openid": "http://ann.openid.example.org/"},
    {"account": {"homePage": "http://www.example.com/sso", "name": "ann \u00e4"}},
]


async def get(
    partner: Partner, resource: str, *, version: str = "1.0.3", **params: str
) -> httpx.Response:
    return await partner.http.get(
        f"/xapi/{resource}", params=params, headers={VERSION: version, **partner.headers}
    )


async def person(partner: Partner, agent: Json) -> Json:
    answer = await get(partner, "agents", agent=json.dumps(agent))
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    return dict(answer.json())


async def names(partner: Partner, agent: Json) -> list[str]:
    return list((await person(partner, agent)).get("name", []))


async def activity(partner: Partner, activity_id: str = ACTIVITY) -> Json:
    answer = await get(partner, "activities", activityId=activity_id)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    return dict(answer.json())


async def definition(partner: Partner, activity_id: str = ACTIVITY) -> Json:
    return dict((await activity(partner, activity_id)).get("definition", {}))


def defining(activity_id: str = ACTIVITY, **definition: Any) -> Json:
    return statement(id=new_id(), object={"id": activity_id, "definition": definition})


async def send(partner: Partner, *sent: Json, version: str = "1.0.3") -> None:
    """Each in a request of its own."""
    for each in sent:
        answer = await partner.xapi(each, **{VERSION: version})
        assert answer.status_code == 200, answer.text


async def send_batch(partner: Partner, *sent: Json) -> None:
    answer = await partner.xapi(list(sent))
    assert answer.status_code == 200, answer.text


# Agents


@pytest.mark.parametrize("agent", IDENTIFIERS, ids=lambda agent: next(iter(agent)))
async def test_a_person_has_the_identifier_and_every_name(partner: Partner, agent: Json) -> None:
    (identifier,) = agent
    unknown = await person(partner, agent)
    assert unknown == {"objectType": "Person", identifier: [agent[identifier]]}
    for name in ("Ann", "Ann Doe", "Ann", "\u5b89"):
        await send(partner, statement(actor={**agent, "name": name}))
    known = await person(partner, agent)
    assert known.pop("name") == sorted({"Ann", "Ann Doe", "\u5b89"})
    assert known == unknown


async def test_names_are_gathered_from_every_role(partner: Partner) -> None:
    numbers = itertools.count()
    given: list[str] = []

    def ann(**members: Any) -> Json:
        given.append(f"Ann {next(numbers):02}")
        return {**LEARNER, "name": given[-1], **members}

    def group(*members: Json, **more: Any) -> Json:
        return {"objectType": "Group", "member": list(members), **more}

    other = {"mbox": "mailto:other@example.com"}
    sent = [
        statement(actor=ann()),
        statement(actor=group(other, ann())),
        statement(actor=group(ann(), mbox="mailto:team@example.com", name="No person")),
        statement(object=ann(objectType="Agent")),
        statement(object=group(ann())),
        statement(context={"instructor": ann(), "team": group(ann())}),
        statement(
            object={
                "objectType": "SubStatement",
                "actor": ann(),
                "verb": {"id": "http://example.com/v"},
                "object": ann(objectType="Agent"),
                "context": {"instructor": group(ann(), other)},
            }
        ),
    ]
    await send(partner, *sent)
    in_2_0 = {
        "contextAgents": [{"objectType": "contextAgent", "agent": ann()}],
        "contextGroups": [{"objectType": "contextGroup", "group": group(ann())}],
    }
    await send(partner, statement(context=in_2_0), version="2.0.0")
    assert await names(partner, LEARNER) == given
    assert "name" not in await person(partner, {"mbox": "mailto:team@example.com"})


async def test_names_come_with_batches_and_from_the_partner_interface(partner: Partner) -> None:
    batch = [statement(actor={**LEARNER, "name": f"Name {number:02}"}) for number in range(30)]
    await send_batch(partner, *batch)
    answer = await partner.send(statement(actor={**LEARNER, "name": "Other"}))
    assert answer.status_code == 200
    assert await names(partner, LEARNER) == [*(f"Name {n:02}" for n in range(30)), "Other"]


async def test_the_name_in_the_question_is_one_of_the_names(partner: Partner) -> None:
    await send(partner, statement(actor={**LEARNER, "name": "Known"}))
    assert await names(partner, {**LEARNER, "name": "Asked"}) == ["Asked", "Known"]
    assert await names(partner, {**LEARNER, "name": "Known"}) == ["Known"]
    assert await names(partner, LEARNER) == ["Known"]


async def test_identifiers_are_not_taken_for_each_other(partner: Partner) -> None:
    same = "http://ann.openid.example.org/"
    await send(
        partner,
        statement(actor={"openid": same, "name": "By openid"}),
        statement(actor={"account": {"homePage": same, "name": "x"}, "name": "By account"}),
    )
    assert await names(partner, {"openid": same}) == ["By openid"]
    assert await names(partner, {"account": {"homePage": same, "name": "x"}}) == ["By account"]
    assert await names(partner, {"account": {"homePage": same, "name": "y"}}) == []


async def test_an_identified_group_may_be_asked_for(partner: Partner) -> None:
    team = {"objectType": "Group", "mbox": "mailto:team@example.com"}
    await send(partner, statement(actor={**team, "name": "The team"}))
    assert await person(partner, team) == {"objectType": "Person", "mbox": [team["mbox"]]}


async def test_a_name_may_be_long_and_in_any_script(partner: Partner) -> None:
    name = "\U0001d11e" * 20_000
    await send(partner, statement(actor={**LEARNER, "name": name}))
    assert await names(partner, LEARNER) == [name]
    await send(partner, statement(actor={**LEARNER, "name": ""}))
    assert await names(partner, LEARNER) == [name]


@pytest.mark.parametrize(
    "agent",
    [
        "true",
        "7",
        "[]",
        "{}",
        "not JSON",
        '{"mbox":"nobody"}',
        '{"mbox":"mailto:a@b.example","openid":"http://a.example/"}',
        '{"mbox":"mailto:a@b.example","mbox":"mailto:c@d.example"}',
        '{"mbox":"mailto:a@b.example","name":"\\u0000"}',
        '{"mbox":"mailto:a@b.example","name":"\\ud800"}',
        '{"objectType":"Group","member":[{"mbox":"mailto:a@b.example"}]}',
        '{"objectType":"Person","mbox":["mailto:a@b.example"]}',
        "",
    ],
)
async def test_the_agent_must_be_one(partner: Partner, agent: str) -> None:
    answer = await get(partner, "agents", agent=agent)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-parameter")
    assert [error["pointer"] for error in answer.json()["errors"]] == ["agent"]


@pytest.mark.parametrize("version", ["1.0.3", "2.0.0"])
async def test_parameters_are_checked(partner: Partner, version: str) -> None:
    agent = json.dumps(LEARNER)
    asked: list[tuple[str, dict[str, str], list[str]]] = [
        ("agents", {}, ["agent"]),
        ("agents", {"Agent": agent}, ["Agent", "agent"]),
        ("agents", {"agent": agent, "activityId": ACTIVITY}, ["activityId"]),
        ("activities", {}, ["activityId"]),
        ("activities", {"activityId": "not an IRI"}, ["activityId"]),
        ("activities", {"activityId": ""}, ["activityId"]),
        ("activities", {"activityid": ACTIVITY}, ["activityid", "activityId"]),
    ]
    for resource, params, pointers in asked:
        answer = await get(partner, resource, version=version, **params)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid-parameter")
        assert [error["pointer"] for error in answer.json()["errors"]] == pointers
        assert answer.headers[VERSION] == version
    for query in ("activityId=%ff", f"activityId={ACTIVITY}&activityId={ACTIVITY}"):
        url = f"/xapi/activities?{query}"
        assert (await partner.http.get(url, headers=XAPI | partner.headers)).status_code == 400


async def test_partners_know_nothing_of_each_other(partner: Partner, stranger: Partner) -> None:
    told = defining(name={"en": "Ours"})
    await send(partner, {**told, "actor": {**LEARNER, "name": "Ours"}})
    assert await names(stranger, LEARNER) == []
    assert await definition(stranger) == {}
    # What one partner has told lately is news from another.
    await send(stranger, {**told, "actor": {**LEARNER, "name": "Ours"}})
    assert await names(stranger, LEARNER) == ["Ours"]
    assert await definition(stranger) == {"name": {"en": "Ours"}}


# Activities


async def test_the_first_statement_tells_all(partner: Partner) -> None:
    told: Json = {
        "name": {"en-US": "A question", "de": "Eine Frage"},
        "description": {"en-US": "Which?"},
        "type": "http://adlnet.gov/expapi/activities/cmi.interaction",
        "moreInfo": "http://example.com/more",
        "interactionType": "choice",
        "correctResponsesPattern": ["a[,]b"],
        "choices": [
            {"id": "b", "description": {"en-US": "B", "de": "Be"}},
            {"id": "a", "description": {"en-US": "A"}},
        ],
        "extensions": {
            "http://example.com/odd": [None, "", {}, [], 1.5, -0.25, 1e300, 2**63, True],
            "http://example.com/": {"name": {"en": "kept"}, "description": None},
        },
    }
    await send(partner, defining(**told))
    assert await activity(partner) == {
        "objectType": "Activity",
        "id": ACTIVITY,
        "definition": told,
    }


async def test_an_unknown_activity_is_an_activity(partner: Partner) -> None:
    unknown = {"objectType": "Activity", "id": ACTIVITY}
    assert await activity(partner) == unknown
    await send(partner, statement(), statement(object={"id": ACTIVITY, "definition": {}}))
    assert await activity(partner) == unknown


async def test_maps_gain_keys_and_all_else_is_replaced(partner: Partner) -> None:
    x, y = "http://example.com/x", "http://example.com/y"
    await send(
        partner,
        defining(name={"en": "One", "fr": "Un"}, extensions={x: {"a": 1, "b": 2}}),
        defining(name={"de": "Eins", "en": "First"}, description={"en": "The first"}, type=x),
        defining(description={"de": "Das erste"}, extensions={y: 3}),
        defining(type=y, moreInfo="http://example.com/more"),
    )
    assert await definition(partner) == {
        "name": {"en": "First", "fr": "Un", "de": "Eins"},
        "description": {"en": "The first", "de": "Das erste"},
        "type": y,
        "moreInfo": "http://example.com/more",
        "extensions": {x: {"a": 1, "b": 2}, y: 3},
    }


async def test_nothing_in_an_extension_is_lost_when_others_come(partner: Partner) -> None:
    """Null is a value there as good as any."""
    x, y, z = (f"http://example.com/{name}" for name in "xyz")
    some = {x: None, y: {"a": None, "b": [None, {"c": None}]}}
    await send(partner, defining(extensions=some), defining(extensions={z: 1}))
    assert await definition(partner) == {"extensions": {**some, z: 1}}


@pytest.mark.parametrize("face", ["xapi", "partner"])
async def test_a_batch_tells_in_its_order(partner: Partner, face: str) -> None:
    batch = [
        defining(name={"en": "One"}, type="http://example.com/x"),
        defining(name={"de": "Eins"}, type="http://example.com/y"),
        defining(name={"en": "First"}),
    ]
    if face == "xapi":
        await send_batch(partner, *batch)
    else:
        assert (await partner.send(batch)).status_code == 200
    assert await definition(partner) == {
        "name": {"en": "First", "de": "Eins"},
        "type": "http://example.com/y",
    }


async def test_every_place_tells(partner: Partner) -> None:
    def told(number: int) -> Json:
        name = {"en": f"Activity {number}"}
        return {"id": f"{ACTIVITY}/{number}", "definition": {"name": name}}

    sent = statement(
        object={
            "objectType": "SubStatement",
            "actor": LEARNER,
            "verb": {"id": "http://example.com/v"},
            "object": told(0),
            "context": {"contextActivities": {"parent": told(1), "grouping": [told(2), told(3)]}},
        },
        context={
            "contextActivities": {
                "parent": [told(4)],
                "grouping": told(5),
                "category": [told(6)],
                "other": [told(7), told(8)],
            }
        },
    )
    await send(partner, sent)
    for number in range(9):
        found = await definition(partner, f"{ACTIVITY}/{number}")
        assert found == {"name": {"en": f"Activity {number}"}}


async def test_one_statement_may_tell_twice_of_one_activity(partner: Partner) -> None:
    again = {"id": ACTIVITY, "definition": {"name": {"de": "Eins"}, "moreInfo": "http://m.example"}}
    sent = defining(name={"en": "One"}, type="http://example.com/x")
    await send(partner, {**sent, "context": {"contextActivities": {"other": [again]}}})
    assert await definition(partner) == {
        "name": {"en": "One", "de": "Eins"},
        "type": "http://example.com/x",
        "moreInfo": "http://m.example",
    }


async def test_what_is_refused_or_known_tells_nothing(partner: Partner) -> None:
    known = defining(name={"en": "One"})
    await send(partner, known)
    other = defining(name={"en": "Two"})
    other["id"] = known["id"]
    await send(partner, {**other, "object": {**other["object"]}})  # the same but for definitions
    assert await definition(partner) == {"name": {"en": "One"}}
    conflict = {**other, "verb": {"id": "http://example.com/other"}}
    for batch in ([defining(name={"en": "Three"}), conflict], [defining(name={"en": "4"}), {}]):
        assert (await partner.xapi(batch)).status_code in (400, 409)
    assert await definition(partner) == {"name": {"en": "One"}}
    # And it is not remembered as told.
    await send(partner, defining(name={"en": "Three"}))
    assert await definition(partner) == {"name": {"en": "Three"}}


async def test_of_a_batch_only_what_is_new_tells(partner: Partner) -> None:
    known = defining(name={"en": "One"})
    await send(partner, known)
    again = {**known, "object": {"id": ACTIVITY, "definition": {"name": {"en": "Two"}}}}
    answer = await partner.send([again, defining(name={"de": "Eins"})])
    assert answer.status_code == 207
    await send_batch(partner, again, defining(name={"fr": "Un"}))
    assert await definition(partner) == {"name": {"en": "One", "de": "Eins", "fr": "Un"}}


async def test_what_alternates_is_followed(partner: Partner) -> None:
    for number in (1, 2, 1, 2, 2, 1):
        await send(partner, defining(type=f"http://example.com/{number}"))
        assert await definition(partner) == {"type": f"http://example.com/{number}"}


async def test_true_is_not_one(partner: Partner) -> None:
    for value in (1, True, 1.5, False, 0):
        await send(partner, defining(extensions={"http://example.com/x": value}))
        found = (await definition(partner))["extensions"]["http://example.com/x"]
        assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    "activity_id",
    [
        "http://example.com/a/../b",
        "http://example.com/%C3%BC?a=b&c=d+e#f",
        "http://example.com/\u00fc\u4e2d\U0001d11e",
        "HTTP://EXAMPLE.com/",
        "urn:x:" + "y" * 20_000,
    ],
)
async def test_an_activity_is_found_by_what_it_was_called(
    partner: Partner, activity_id: str
) -> None:
    await send(partner, defining(activity_id, name={"en": "One"}))
    assert await activity(partner, activity_id) == {
        "objectType": "Activity",
        "id": activity_id,
        "definition": {"name": {"en": "One"}},
    }
    assert await definition(partner, activity_id[:-1]) == {}


async def test_a_definition_may_be_huge(partner: Partner) -> None:
    huge = {"http://example.com/x": ["y" * 1000] * 900}
    for language in ("en", "de"):
        await send(partner, defining(name={language: language}, extensions=huge))
    assert await definition(partner) == {"name": {"en": "en", "de": "de"}, "extensions": huge}


# Several who tell at once


async def test_many_writers_of_the_same_activities_lose_nothing(partner: Partner) -> None:
    """In every order, so that those who lock in another order would wait in a circle."""
    ids = [f"{ACTIVITY}/{number}" for number in range(8)]

    async def tell(writer: int) -> None:
        ordered = ids if writer % 2 else ids[::-1]
        batch = [
            defining(each, name={f"x-{writer}": str(writer)}, type=f"http://example.com/{writer}")
            for each in ordered
        ]
        for each in batch:
            each["actor"] = {**LEARNER, "name": f"Name {writer:02}"}
        await send_batch(partner, *batch)

    await asyncio.gather(*map(tell, range(40)))
    for each in ids:
        found = await definition(partner, each)
        assert found["name"] == {f"x-{writer}": str(writer) for writer in range(40)}
        assert found["type"].startswith("http://example.com/")
    assert await names(partner, LEARNER) == [f"Name {writer:02}" for writer in range(40)]


@pytest.fixture
async def other_server(settings: Settings, partner: Partner) -> AsyncIterator[Partner]:
    """The same partner, at another server of the same database."""
    async with serving(settings) as http:
        yield Partner(
            http,
            partner.name,
            partner.partner_id,
            partner.home_page,
            partner.key,
            partner.secret,
            headers=partner.headers,
        )


async def test_two_servers_tell_of_the_same_activities(
    partner: Partner, other_server: Partner
) -> None:
    ids = [f"{ACTIVITY}/{number}" for number in range(5)]

    async def tell(who: Partner, writer: int) -> None:
        order = ids[writer % 5 :] + ids[: writer % 5]
        batch = [defining(each, name={f"x-{writer}": str(writer)}) for each in order]
        await send_batch(who, *batch)

    servers = itertools.cycle([partner, other_server])
    await asyncio.gather(*(tell(next(servers), writer) for writer in range(30)))
    for each in ids:
        found = await definition(other_server, each)
        assert found["name"] == {f"x-{writer}": str(writer) for writer in range(30)}


async def test_what_one_server_remembers_does_not_undo_what_another_was_told(
    partner: Partner, other_server: Partner
) -> None:
    old, new = "http://example.com/old", "http://example.com/new"
    await send(partner, defining(name={"en": "Old", "fr": "Un"}, type=old))
    await send(other_server, defining(name={"en": "New"}, type=new))
    await send(partner, defining(name={"de": "Neu"}))
    assert await definition(partner) == {
        "name": {"en": "New", "fr": "Un", "de": "Neu"},
        "type": new,
    }


@pytest.mark.parametrize(("seconds", "name"), [(60.0, "New"), (0.0, "Old")])
async def test_what_one_server_remembers_is_believed_for_a_while_only(
    partner: Partner,
    other_server: Partner,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
    name: str,
) -> None:
    """What is repeated to it is not written, though another was told something else since."""
    monkeypatch.setattr(definitions, "_FRESH_SECONDS", seconds)
    await send(partner, defining(name={"en": "Old"}))
    await send(other_server, defining(name={"en": "New"}))
    await send(partner, defining(name={"en": "Old"}))
    assert await definition(partner) == {"name": {"en": name}}


# What a worker remembers


def told(remembered: Remembered, *definitions: Json, partner_id: int = 1) -> list[Json]:
    """Tells of one activity, as if it were committed; returns what was news."""
    texts = [(ACTIVITY, json.dumps(each).encode()) for each in definitions]
    news = remembered.news(partner_id, texts, [])
    remembered.note(partner_id, news)
    return [json.loads(each) for each in news.definitions.values()]


def test_news_is_what_was_told_and_no_more() -> None:
    remembered = Remembered()
    assert told(remembered, {"a": 1, "name": {"en": "One"}}) == [{"a": 1, "name": {"en": "One"}}]
    assert told(remembered, {"a": 1}) == []
    assert told(remembered, {"name": {"de": "Eins"}}) == [{"name": {"de": "Eins"}}]
    assert told(remembered, {"name": {"en": "One", "de": "Eins"}, "a": 1}) == []
    assert told(remembered, {"a": 1}, {"a": 2}, {"b": 3}) == [{"a": 2, "b": 3}]
    assert told(remembered, {"a": 1}, partner_id=2) == [{"a": 1}]


some_definitions = st.fixed_dictionaries(
    {},
    optional={
        "name": st.dictionaries(st.sampled_from(["en", "de"]), st.sampled_from("ab"), min_size=1),
        "type": st.sampled_from(["urn:x:1", "urn:x:2"]),
        "extensions": st.dictionaries(st.just("urn:x:3"), st.sampled_from([0, 1, True])),
    },
)


@given(batches=st.lists(st.lists(some_definitions, max_size=4), max_size=6))
def test_what_is_no_news_would_change_nothing(batches: list[list[Json]]) -> None:
    remembered = Remembered()
    known: Json = {}
    expected: Json = {}
    for batch in batches:
        for each in told(remembered, *batch):
            known = merge(known, each)
        for each in batch:
            expected = merge(expected, each)
        assert json.dumps(known, sort_keys=True) == json.dumps(expected, sort_keys=True)


def test_what_was_not_committed_is_news_again() -> None:
    remembered = Remembered()
    some = [(ACTIVITY, b'{"a":1}')]
    for _ in range(2):
        news = remembered.news(1, some, [("mbox a", "A")])
        assert (news.definitions, news.names) == ({ACTIVITY: b'{"a":1}'}, [("mbox a", "A")])
    remembered.note(1, news)
    assert not remembered.news(1, some, [("mbox a", "A")])


def test_names_of_others_are_news() -> None:
    remembered = Remembered()
    remembered.note(1, remembered.news(1, [], [("mbox a", "A")]))
    for partner_id, identity, name in ((2, "mbox a", "A"), (1, "mbox b", "A"), (1, "mbox a", "B")):
        assert remembered.news(partner_id, [], [(identity, name)])


def test_what_was_written_longest_ago_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """However large definitions are, they take no more than so many bytes."""
    monkeypatch.setattr(definitions, "_MOST_BYTES", 100_000)
    monkeypatch.setattr(definitions, "_MOST_NAMES", 10)
    remembered = Remembered()
    large = {"extensions": {"http://example.com/x": "x" * 20_000}}
    for number in range(20):
        text = json.dumps({"number": number, **large}).encode()
        news = remembered.news(1, [(f"urn:x:{number}", text)], [("mbox a", str(number))])
        assert (len(news.definitions), len(news.names)) == (1, 1)
        remembered.note(1, news)
        assert not remembered.news(1, [(f"urn:x:{number}", text)], [("mbox a", str(number))])
    again = remembered.news(
        1,
        [
            (f"urn:x:{number}", json.dumps({"number": number, **large}).encode())
            for number in range(20)
        ],
        [("mbox a", str(number)) for number in range(20)],
    )
    assert set(again.definitions) == {f"urn:x:{number}" for number in range(16)}
    assert again.names == [("mbox a", str(number)) for number in range(10)]
    # One that is larger than all of that is forgotten at once.
    huge = json.dumps({"moreInfo": "x" * 200_000}).encode()
    remembered.note(1, remembered.news(1, [("urn:x:y", huge)], []))
    assert remembered.news(1, [("urn:x:19", json.dumps({"number": 19, **large}).encode())], [])


async def test_what_is_repeated_is_not_written_again(partner: Partner, services: Services) -> None:
    """A row that is written again has another xmin; one that is locked has an xmax."""

    async def traces() -> list[Any]:
        return list(
            await services.database.readers.fetch(
                """select xmin::text, xmax::text from activity where partner_id = $1
                union all select xmin::text, xmax::text from agent_name where partner_id = $1""",
                partner.partner_id,
            )
        )

    def sent() -> Json:
        return {**defining(name={"en": "One"}), "actor": {**LEARNER, "name": "Ann"}}

    await send(partner, sent())
    before = await traces()
    await send(partner, *(sent() for _ in range(5)))
    await send_batch(partner, *(sent() for _ in range(20)))
    assert await traces() == before


# The canonical format


async def test_canonical_gives_what_is_known_in_the_language_asked_for(partner: Partner) -> None:
    first = defining(name={"en": "One", "fr": "Un"}, type="http://example.com/old")
    await send(
        partner,
        first,
        defining(name={"de": "Eins"}, type="http://example.com/new", moreInfo="http://m.example"),
    )
    for accepted, name in (
        ("de", {"de": "Eins"}),
        ("fr;q=0.5, de;q=0.4", {"fr": "Un"}),
        ("en-GB", {"en": "One"}),
        ("it, fr", {"fr": "Un"}),
    ):
        for params in ({"statementId": first["id"]}, {"ascending": "true"}):
            answer = await partner.http.get(
                "/xapi/statements",
                params={**params, "format": "canonical"},
                headers={**XAPI, **partner.headers, "Accept-Language": accepted},
            )
            assert answer.status_code == 200, answer.text
            found = answer.json()
            found = found["statements"][0] if "statements" in found else found
            assert found["object"]["definition"] == {
                "name": name,
                "type": "http://example.com/new",
                "moreInfo": "http://m.example",
            }
    exact = await get(partner, "statements", statementId=first["id"])
    assert exact.json()["object"] == first["object"]


async def test_canonical_tells_of_activities_that_the_statement_only_names(
    partner: Partner,
) -> None:
    named = {"id": f"{ACTIVITY}/parent"}
    sent = statement(id=new_id(), context={"contextActivities": {"parent": [named]}})
    await send(partner, sent)
    await send(partner, defining(named["id"], name={"en": "The parent", "de": "Die Mutter"}))
    answer = await get(partner, "statements", statementId=sent["id"], format="canonical")
    (parent,) = answer.json()["context"]["contextActivities"]["parent"]
    assert parent["id"] == named["id"]
    assert len(parent["definition"]["name"]) == 1
    assert answer.json()["object"] == sent["object"]


# All of /xapi


RESOURCES = {
    "agents": {"agent": json.dumps(LEARNER)},
    "activities": {"activityId": ACTIVITY},
    "about": {},
    "statements": {},
    "activities/state": {"activityId": ACTIVITY, "agent": json.dumps(LEARNER)},
    "agents/profile": {"agent": json.dumps(LEARNER)},
    "activities/profile": {"activityId": ACTIVITY},
}


@pytest.mark.parametrize("resource", RESOURCES)
async def test_head_is_get_without_the_content(
    partner: Partner, server: str, resource: str
) -> None:
    auth = (partner.key, partner.secret)
    async with httpx.AsyncClient(base_url=server) as http:
        wrong = 200 if resource == "about" else 400
        for params, status in ((RESOURCES[resource], 200), ({"foo": "1"}, wrong)):
            asked: Json = {"params": params, "headers": XAPI, "auth": auth}
            got = await http.get(f"/xapi/{resource}", **asked)
            head = await http.head(f"/xapi/{resource}", **asked)
            assert (head.status_code, head.content, got.status_code) == (status, b"", status)
            for name in ("content-type", "content-length", "x-experience-api-version"):
                assert head.headers.get(name) == got.headers.get(name)


async def test_about_needs_nothing(http: httpx.AsyncClient) -> None:
    for headers in ({}, {VERSION: "9.9"}, {VERSION: "2.0.0"}):
        answer = await http.get("/xapi/about", headers=headers)
        assert answer.status_code == 200
        assert {"1.0.3", "2.0.0"} <= set(answer.json()["version"])
        assert answer.headers[VERSION]


@pytest.mark.parametrize("resource", [name for name in RESOURCES if name != "about"])
async def test_all_else_needs_version_and_credentials(
    http: httpx.AsyncClient, partner: Partner, resource: str
) -> None:
    url, params = f"/xapi/{resource}", RESOURCES[resource]
    answer = await http.get(url, params=params, headers=partner.headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "unsupported-version")
    assert answer.headers[VERSION]
    answer = await http.get(url, params=params, headers=XAPI)
    assert (answer.status_code, answer.headers[VERSION]) == (401, "1.0.3")


@pytest.mark.parametrize("version", ["1.0.3", "2.0.0"])
async def test_what_is_not_there_or_not_answered_carries_the_version(
    partner: Partner, version: str
) -> None:
    headers = {VERSION: version, **partner.headers}
    for resource in ("nothing", "", "statements/more", *(f"{each}/" for each in RESOURCES)):
        for method in ("GET", "POST", "PUT", "HEAD"):
            answer = await partner.http.request(method, f"/xapi/{resource}", headers=headers)
            assert (answer.status_code, answer.headers[VERSION]) == (404, version), resource
    for resource in RESOURCES:
        answer = await partner.http.patch(f"/xapi/{resource}", headers=headers)
        assert (answer.status_code, answer.headers[VERSION]) == (405, version)
        assert "GET" in answer.headers["allow"]
        assert answer.json()["code"] == "method-not-allowed"
    for resource in ("agents", "activities", "about"):
        for method in ("POST", "PUT", "DELETE"):
            answer = await partner.http.request(method, f"/xapi/{resource}", headers=headers)
            assert (answer.status_code, answer.headers[VERSION]) == (405, version)


# Content in a browser


ORIGIN = "https://content.example.com"


@pytest.mark.parametrize("resource", RESOURCES)
@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE", "HEAD"])
async def test_a_browser_may_ask_first(http: httpx.AsyncClient, resource: str, method: str) -> None:
    wanted = "authorization, content-type, if-match, if-none-match, x-experience-api-version"
    answer = await http.options(
        f"/xapi/{resource}",
        headers={
            "Origin": ORIGIN,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": wanted,
        },
    )
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"
    assert method in answer.headers["access-control-allow-methods"]
    allowed = answer.headers["access-control-allow-headers"].lower().split(", ")
    assert set(wanted.split(", ")) <= set(allowed)
    assert int(answer.headers["access-control-max-age"]) > 0


async def test_a_browser_may_read_what_it_needs(partner: Partner) -> None:
    """Refusals, too: content must be able to see what was wrong."""
    for headers, status in ((XAPI | partner.headers, 200), (partner.headers, 400), (XAPI, 401)):
        answer = await partner.http.get("/xapi/statements", headers={**headers, "Origin": ORIGIN})
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == "*"
        exposed = answer.headers["access-control-expose-headers"].lower().split(", ")
        assert {
            "etag",
            "last-modified",
            "x-experience-api-version",
            "x-experience-api-consistent-through",
        } <= set(exposed)
        assert "access-control-allow-credentials" not in answer.headers


async def test_only_allowed_origins_may(settings: Settings, partner: Partner) -> None:
    some = msgspec.structs.replace(settings, cors_origins=f"{ORIGIN}, https://other.example.com")
    none = msgspec.structs.replace(settings, cors_origins="")
    allow = "access-control-allow-origin"
    preflight = {"Access-Control-Request-Method": "PUT"}
    async with serving(some) as http:
        for origin, allowed in ((ORIGIN, ORIGIN), ("https://evil.example.com", None)):
            answer = await http.get("/xapi/about", headers={"Origin": origin})
            assert answer.headers.get(allow) == allowed
            answer = await http.options("/xapi/about", headers={"Origin": origin, **preflight})
            assert answer.headers.get(allow) == allowed
    async with serving(none) as http:
        answer = await http.get("/xapi/about", headers={"Origin": ORIGIN})
        assert (answer.status_code, answer.headers.get(allow)) == (200, None)
        answer = await http.options("/xapi/about", headers={"Origin": ORIGIN, **preflight})
        assert answer.headers.get(allow) is None


async def test_a_definition_does_not_grow_for_ever(partner: Partner) -> None:
    """It is read and written whole, and no database could hold all that may be told."""
    names = [f"http://example.com/extensions/{number}" for number in range(4)]
    for name in names:
        await send(partner, defining(extensions={name: os.urandom(400_000).hex()}))
    await send(partner, defining(name={"en": "Late"}))
    assert (await definition(partner)).keys() == {"extensions"}
    assert (await definition(partner))["extensions"].keys() == {*names[:2]}
