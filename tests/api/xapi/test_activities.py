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


async def test_definition_of_the_first_statement_is_returned(partner: Partner) -> None:
    reported: Json = {
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
    await send(partner, defining(**reported))
    assert await activity(partner) == {
        "objectType": "Activity",
        "id": ACTIVITY,
        "definition": reported,
    }


async def test_unknown_activity_has_its_id_only(partner: Partner) -> None:
    unknown = {"objectType": "Activity", "id": ACTIVITY}
    assert await activity(partner) == unknown
    await send(partner, statement(), statement(object={"id": ACTIVITY, "definition": {}}))
    assert await activity(partner) == unknown


async def test_language_maps_are_merged_and_other_members_replaced(partner: Partner) -> None:
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


async def test_extensions_are_merged_by_key(partner: Partner) -> None:
    """Null is a value."""
    x, y, z = (f"http://example.com/{name}" for name in "xyz")
    some = {x: None, y: {"a": None, "b": [None, {"c": None}]}}
    await send(partner, defining(extensions=some), defining(extensions={z: 1}))
    assert await definition(partner) == {"extensions": {**some, z: 1}}


@pytest.mark.parametrize("interface", ["xapi", "partner"])
async def test_definitions_of_a_batch_are_merged_in_order(partner: Partner, interface: str) -> None:
    batch = [
        defining(name={"en": "One"}, type="http://example.com/x"),
        defining(name={"de": "Eins"}, type="http://example.com/y"),
        defining(name={"en": "First"}),
    ]
    if interface == "xapi":
        await send_batch(partner, *batch)
    else:
        assert (await partner.send(batch)).status_code == 200
    assert await definition(partner) == {
        "name": {"en": "First", "de": "Eins"},
        "type": "http://example.com/y",
    }


async def test_definition_in_any_position_is_merged(partner: Partner) -> None:
    def defined(number: int) -> Json:
        name = {"en": f"Activity {number}"}
        return {"id": f"{ACTIVITY}/{number}", "definition": {"name": name}}

    sent = statement(
        object={
            "objectType": "SubStatement",
            "actor": LEARNER,
            "verb": {"id": "http://example.com/v"},
            "object": defined(0),
            "context": {
                "contextActivities": {"parent": defined(1), "grouping": [defined(2), defined(3)]}
            },
        },
        context={
            "contextActivities": {
                "parent": [defined(4)],
                "grouping": defined(5),
                "category": [defined(6)],
                "other": [defined(7), defined(8)],
            }
        },
    )
    await send(partner, sent)
    for number in range(9):
        result = await definition(partner, f"{ACTIVITY}/{number}")
        assert result == {"name": {"en": f"Activity {number}"}}


async def test_two_definitions_in_one_statement_are_merged(partner: Partner) -> None:
    again = {"id": ACTIVITY, "definition": {"name": {"de": "Eins"}, "moreInfo": "http://m.example"}}
    sent = defining(name={"en": "One"}, type="http://example.com/x")
    await send(partner, {**sent, "context": {"contextActivities": {"other": [again]}}})
    assert await definition(partner) == {
        "name": {"en": "One", "de": "Eins"},
        "type": "http://example.com/x",
        "moreInfo": "http://m.example",
    }


async def test_refused_or_duplicate_statement_changes_no_definition(partner: Partner) -> None:
    existing = defining(name={"en": "One"})
    await send(partner, existing)
    other = defining(name={"en": "Two"})
    other["id"] = existing["id"]
    await send(partner, {**other, "object": {**other["object"]}})  # equal except for definitions
    assert await definition(partner) == {"name": {"en": "One"}}
    conflict = {**other, "verb": {"id": "http://example.com/other"}}
    for batch in ([defining(name={"en": "Three"}), conflict], [defining(name={"en": "4"}), {}]):
        assert (await partner.xapi(batch)).status_code in (400, 409)
    assert await definition(partner) == {"name": {"en": "One"}}
    # And the cache does not contain it.
    await send(partner, defining(name={"en": "Three"}))
    assert await definition(partner) == {"name": {"en": "Three"}}


async def test_only_stored_items_of_a_batch_change_definitions(partner: Partner) -> None:
    existing = defining(name={"en": "One"})
    await send(partner, existing)
    again = {**existing, "object": {"id": ACTIVITY, "definition": {"name": {"en": "Two"}}}}
    response = await partner.send([again, defining(name={"de": "Eins"})])
    assert response.status_code == 207
    await send_batch(partner, again, defining(name={"fr": "Un"}))
    assert await definition(partner) == {"name": {"en": "One", "de": "Eins", "fr": "Un"}}


async def test_alternating_definitions_are_each_written(partner: Partner) -> None:
    for number in (1, 2, 1, 2, 2, 1):
        await send(partner, defining(type=f"http://example.com/{number}"))
        assert await definition(partner) == {"type": f"http://example.com/{number}"}


async def test_boolean_is_not_equal_to_number(partner: Partner) -> None:
    for value in (1, True, 1.5, False, 0):
        await send(partner, defining(extensions={"http://example.com/x": value}))
        result = (await definition(partner))["extensions"]["http://example.com/x"]
        assert (result, type(result)) == (value, type(value))


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
async def test_activity_id_is_compared_byte_for_byte(partner: Partner, activity_id: str) -> None:
    await send(partner, defining(activity_id, name={"en": "One"}))
    assert await activity(partner, activity_id) == {
        "objectType": "Activity",
        "id": activity_id,
        "definition": {"name": {"en": "One"}},
    }
    assert await definition(partner, activity_id[:-1]) == {}


async def test_large_definition_is_merged(partner: Partner) -> None:
    huge = {"http://example.com/x": ["y" * 1000] * 900}
    for language in ("en", "de"):
        await send(partner, defining(name={language: language}, extensions=huge))
    assert await definition(partner) == {"name": {"en": "en", "de": "de"}, "extensions": huge}


# Canonical format


async def test_canonical_format_has_the_merged_definition_in_the_accepted_language(
    partner: Partner,
) -> None:
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
            response = await partner.http.get(
                "/xapi/statements",
                params={**params, "format": "canonical"},
                headers={**XAPI, **partner.headers, "Accept-Language": accepted},
            )
            assert response.status_code == 200, response.text
            result = response.json()
            result = result["statements"][0] if "statements" in result else result
            assert result["object"]["definition"] == {
                "name": name,
                "type": "http://example.com/new",
                "moreInfo": "http://m.example",
            }
    exact = await get(partner, "statements", statementId=first["id"])
    assert exact.json()["object"] == first["object"]


async def test_canonical_format_defines_activities_with_an_id_only(
    partner: Partner,
) -> None:
    named = {"id": f"{ACTIVITY}/parent"}
    sent = statement(id=new_id(), context={"contextActivities": {"parent": [named]}})
    await send(partner, sent)
    await send(partner, defining(named["id"], name={"en": "The parent", "de": "Die Mutter"}))
    response = await get(partner, "statements", statementId=sent["id"], format="canonical")
    (parent,) = response.json()["context"]["contextActivities"]["parent"]
    assert parent["id"] == named["id"]
    assert len(parent["definition"]["name"]) == 1
    assert response.json()["object"] == sent["object"]


async def test_definition_beyond_the_size_limit_is_not_merged(partner: Partner) -> None:
    """A definition is read and written whole, so its size is limited."""
    names = [f"http://example.com/extensions/{number}" for number in range(4)]
    for name in names:
        await send(partner, defining(extensions={name: os.urandom(400_000).hex()}))
    await send(partner, defining(name={"en": "Late"}))
    assert (await definition(partner)).keys() == {"extensions"}
    assert (await definition(partner))["extensions"].keys() == {*names[:2]}
