"""The cache of activity definitions and agent names."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrs.api.services import Services
from lrs.store.statements import definitions
from lrs.store.statements.definitions import Remembered
from lrs.xapi.definitions import merge
from tests.support.entities import ACTIVITY, LEARNER, Json, defining, send, send_batch
from tests.support.partners import Partner

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
