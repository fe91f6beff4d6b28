"""GET /activities: definitions merged from statements."""

from __future__ import annotations

import os

import pytest

from tests.support.entities import (
    ACTIVITY,
    LEARNER,
    Json,
    activity,
    defining,
    definition,
    get,
    send,
    send_batch,
)
from tests.support.partners import Partner
from tests.support.statements import XAPI, new_id, statement

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


async def test_a_definition_does_not_grow_for_ever(partner: Partner) -> None:
    """It is read and written whole, and no database could hold all that may be told."""
    names = [f"http://example.com/extensions/{number}" for number in range(4)]
    for name in names:
        await send(partner, defining(extensions={name: os.urandom(400_000).hex()}))
    await send(partner, defining(name={"en": "Late"}))
    assert (await definition(partner)).keys() == {"extensions"}
    assert (await definition(partner))["extensions"].keys() == {*names[:2]}
