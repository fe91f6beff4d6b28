"""docs/errors.md lists every problem and outcome, with examples from the server."""

from __future__ import annotations

import json
import re
from typing import get_args

from lrs import errors
from lrs.errors import LRSError
from lrs.ingest import model
from tests.support.files import DOCS
from tests.support.partners import Partner
from tests.support.problems import CLASSES

DOCUMENT = (DOCS / "errors.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `([a-z-]+)` \| (\d{3}) \| (.+) \| (.+) \|$", DOCUMENT, re.MULTILINE)
OUTCOMES = re.findall(r"^\| `([a-z_]+)` \| (\d{3}) \| ([^|]*?) ?\|$", DOCUMENT, re.MULTILINE)


def test_every_problem_is_documented_with_its_status() -> None:
    assert {(code, int(status)) for code, status, _, _ in ROWS} == {
        (each.code, each.status) for each in CLASSES
    }
    assert len(ROWS) == len(CLASSES)


def test_every_error_class_has_its_own_code() -> None:
    codes = [each.code for each in CLASSES]
    assert len(codes) == len(set(codes))
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", code) for code in codes)


def test_error_class_has_the_status_of_its_parent() -> None:
    for each in CLASSES:
        above: type[LRSError] = each.__mro__[1]
        assert above is LRSError or above.status == each.status


def test_error_tree_in_the_docstring_matches_the_classes() -> None:
    drawn = re.findall(r"[├└]── (\w+) +(\d{3})", errors.__doc__ or "")
    assert drawn == [(each.__name__, str(each.status)) for each in CLASSES]


def test_every_outcome_is_documented() -> None:
    told = [kind for kind in get_args(model.OutcomeKind) if kind != "aborted"]
    assert [outcome for outcome, _, _ in OUTCOMES] == told
    assert "`aborted`" in DOCUMENT
    statuses = {each.code: str(each.status) for each in CLASSES}
    for _, status, codes in OUTCOMES:
        assert {statuses[code] for code in re.findall(r"`([a-z-]+)`", codes)} <= {status}


def test_examples_have_the_titles_of_the_error_classes() -> None:
    titles = {each.code: (each.title, each.status) for each in CLASSES}
    shown = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", DOCUMENT, re.DOTALL)]
    problem, results = shown
    assert (problem["title"], problem["status"]) == titles[problem["code"]]
    told = results["results"][1]["problem"]
    assert (told["title"], told["status"]) == titles[told["code"]]


async def test_first_example_is_the_response_of_the_server(partner: Partner) -> None:
    shown = json.loads(re.findall(r"```json\n(.*?)```", DOCUMENT, re.DOTALL)[0])
    wrong = {"actor": {"mbox": "mailto:a@example.com"}, "verb": {"id": "completed"}}
    assert (await partner.send(wrong)).json() == shown
