"""The formats ids and canonical, and language selection."""

from __future__ import annotations

import copy
import itertools
import string
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrs.xapi.formats import accepted_languages, canonical, choose_language, ids

Json = dict[str, Any]

ANA: Json = {"objectType": "Agent", "name": "Ana", "mbox": "mailto:ana@example.com"}
BEN: Json = {"name": "Ben", "account": {"homePage": "https://example.com", "name": "ben"}}
TEAM: Json = {
    "objectType": "Group",
    "name": "Team",
    "mbox": "mailto:t@example.com",
    "member": [ANA],
}
CREW: Json = {"objectType": "Group", "name": "Crew", "member": [ANA, BEN]}

ANA_ID = {"objectType": "Agent", "mbox": "mailto:ana@example.com"}
BEN_ID = {"account": {"homePage": "https://example.com", "name": "ben"}}
TEAM_ID = {"objectType": "Group", "mbox": "mailto:t@example.com"}
CREW_ID = {"objectType": "Group", "member": [ANA_ID, BEN_ID]}

DISPLAY = {"en-US": "did", "de": "tat"}
QUIZ: Json = {
    "objectType": "Activity",
    "id": "http://example.com/quiz",
    "definition": {
        "name": {"en-US": "Quiz", "de": "Rätsel"},
        "description": {"fr": "Jeu", "de": "Spiel"},
        "type": "http://example.com/type",
        "interactionType": "choice",
        "correctResponsesPattern": ["a"],
        "choices": [
            {"id": "a", "description": {"en-US": "A", "de": "Ah"}},
            {"id": "b"},
        ],
        "extensions": {"http://example.com/e": {"en": "kept", "de": "bleibt"}},
    },
}
COURSE: Json = {"id": "http://example.com/course"}


def make_statement(actor: Json, target: Json, **more: Any) -> Json:
    verb = {"id": "http://example.com/did", "display": DISPLAY}
    return {"actor": actor, "verb": verb, "object": target, **more}


CONTEXT: Json = {
    "instructor": BEN,
    "team": TEAM,
    "contextActivities": {"parent": QUIZ, "grouping": [COURSE, QUIZ]},
    "contextAgents": [{"objectType": "contextAgent", "agent": ANA, "relevantTypes": ["http://t"]}],
    "contextGroups": [{"objectType": "contextGroup", "group": CREW}],
    "platform": "web",
}
INNER = {"objectType": "SubStatement", **make_statement(CREW, QUIZ, context=CONTEXT)}
FULL = make_statement(
    ANA,
    INNER,
    id="6690e6c9-3ef0-4ed3-8b37-7f3964730bee",
    result={"success": True},
    context=CONTEXT,
    authority={"objectType": "Group", "member": [ANA, BEN]},
    attachments=[{"usageType": "http://u", "display": DISPLAY, "description": DISPLAY}],
)


def test_ids_format_keeps_identifying_members_only() -> None:
    before = copy.deepcopy(FULL)
    verb = {"id": "http://example.com/did"}
    quiz = {"id": "http://example.com/quiz"}
    context = {
        "instructor": BEN_ID,
        "team": TEAM_ID,
        "contextActivities": {"parent": [quiz], "grouping": [COURSE, quiz]},
        "contextAgents": [
            {"objectType": "contextAgent", "agent": ANA_ID, "relevantTypes": ["http://t"]}
        ],
        "contextGroups": [{"objectType": "contextGroup", "group": CREW_ID}],
        "platform": "web",
    }
    assert ids(FULL) == {
        **FULL,
        "actor": ANA_ID,
        "verb": verb,
        "object": {
            "objectType": "SubStatement",
            "actor": CREW_ID,
            "verb": verb,
            "object": quiz,
            "context": context,
        },
        "context": context,
        "authority": {"objectType": "Group", "member": [ANA_ID, BEN_ID]},
    }
    assert before == FULL


@pytest.mark.parametrize(
    ("target", "form"),
    [
        (QUIZ, {"id": "http://example.com/quiz"}),
        (COURSE, COURSE),
        (ANA, ANA_ID),
        (TEAM, TEAM_ID),
        (CREW, CREW_ID),
        (
            {"objectType": "StatementRef", "id": "6690e6c9-3ef0-4ed3-8b37-7f3964730bee"},
            {"objectType": "StatementRef", "id": "6690e6c9-3ef0-4ed3-8b37-7f3964730bee"},
        ),
    ],
)
def test_ids_format_of_each_object_type(target: Json, form: Json) -> None:
    assert ids(make_statement(BEN, target))["object"] == form
    assert ids(ids(make_statement(BEN, target))) == ids(make_statement(BEN, target))


def test_canonical_format_keeps_one_language_per_map() -> None:
    before = copy.deepcopy(FULL)
    form = canonical(FULL, {}, ["en-US", "fr"])
    quiz = {
        **QUIZ,
        "definition": {
            **QUIZ["definition"],
            "name": {"en-US": "Quiz"},
            "description": {"fr": "Jeu"},
            "choices": [{"id": "a", "description": {"en-US": "A"}}, {"id": "b"}],
        },
    }
    assert form["verb"] == {"id": "http://example.com/did", "display": {"en-US": "did"}}
    assert form["object"]["verb"] == form["verb"]
    assert form["object"]["object"] == quiz
    for context in (form["context"], form["object"]["context"]):
        assert context["contextActivities"] == {"parent": [quiz], "grouping": [COURSE, quiz]}
        assert context["team"] == TEAM
        assert context["contextGroups"] == CONTEXT["contextGroups"]
    assert form["actor"] == ANA
    assert form["authority"] == FULL["authority"]
    assert form["attachments"] == [
        {"usageType": "http://u", "display": {"en-US": "did"}, "description": {"en-US": "did"}}
    ]
    assert before == FULL


def test_canonical_format_uses_the_merged_definition() -> None:
    merged = {"name": {"en": "Merged", "de": "Vereint"}, "moreInfo": "http://example.com/more"}
    definitions: dict[str, Json] = {
        QUIZ["id"]: merged,
        COURSE["id"]: {"type": "http://example.com/course-type"},
    }
    form = canonical(make_statement(ANA, QUIZ, context=CONTEXT), definitions, ["de"])
    assert form["object"] == {
        **QUIZ,
        "definition": {"name": {"de": "Vereint"}, "moreInfo": "http://example.com/more"},
    }
    course = {**COURSE, "definition": {"type": "http://example.com/course-type"}}
    assert form["context"]["contextActivities"]["grouping"] == [course, form["object"]]
    assert merged["name"] == {"en": "Merged", "de": "Vereint"}


@pytest.mark.parametrize(
    ("header", "languages"),
    [
        (None, []),
        ("", []),
        ("de", ["de"]),
        ("da, en-GB;q=0.8, en;q=0.7", ["da", "en-GB", "en"]),
        ("en;q=0.7,da , en-GB ; q=0.8", ["da", "en-GB", "en"]),
        ("fr;q=0.5, de;q=0.5, *;q=0.1", ["fr", "de", "*"]),
        ("fr;Q=1.000, de;q=0, it;q=0.000", ["fr"]),
        ("fr;q=2, de;q=x, it;q=, es;q=-1, pt", ["pt"]),
        (",;,;q=1,de_DE, e n,é,toolongatag9,zh-Hant-TW,", ["zh-Hant-TW"]),
        ("a" * 100_000 + ";", []),
        ("," * 100_000, []),
    ],
)
def test_accept_language_is_parsed_by_preference(header: str | None, languages: list[str]) -> None:
    assert accepted_languages(header) == languages


@given(st.text(alphabet="aEn-*;q=01., \t\0é") | st.text())
def test_any_accept_language_is_parsed(header: str) -> None:
    for language in accepted_languages(header):
        assert choose_language({"x": "1", "y": "2"}, [language])


@pytest.mark.parametrize(
    ("tags", "languages", "chosen"),
    [
        (["de", "en"], ["en"], "en"),
        (["de", "EN-us"], ["en-US"], "EN-us"),
        (["de", "en"], ["en-US"], "en"),
        (["de", "en-US"], ["en"], "en-US"),
        (["de", "en-US", "en"], ["en-GB"], "en"),
        (["de", "en-US"], ["en-GB"], "en-US"),
        (["de", "en-US"], ["en-GB", "de"], "de"),
        (["de", "en-US"], ["en", "de"], "en-US"),
        (["de", "enm"], ["en"], "de"),
        (["de", "zh-Hant"], ["zh-Hant-TW"], "zh-Hant"),
        (["de", "zh"], ["zh-x-private"], "zh"),
        (["de", "en"], ["fr"], "de"),
        (["de", "en"], ["*"], "de"),
        (["de", "en"], ["fr", "*", "en"], "de"),
        (["de", "en"], [], "de"),
        (["de"], ["en"], "de"),
    ],
)
def test_best_matching_language_is_chosen(
    tags: list[str], languages: list[str], chosen: str
) -> None:
    assert choose_language({tag: tag for tag in tags}, languages) == {chosen: chosen}


def test_long_header_and_map_are_matched_within_a_second() -> None:
    """As many tags and ranges as a statement and a header can contain."""
    letters = string.ascii_lowercase
    tags = {"".join(item): "x" for item in itertools.product(letters, letters, letters)}
    tags["-".join(["x"] * 300_000)] = "x"
    ranges = ["".join(item) for item in itertools.product("q", letters, letters, letters)]
    ranges[0] = "-".join(["y"] * 20_000)
    began = time.process_time()
    assert choose_language(tags, accepted_languages(",".join(ranges))) == {"aaa": "x"}
    assert time.process_time() - began < 1


def test_empty_language_map_stays_empty() -> None:
    assert choose_language({}, ["en"]) == {}
