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
        (class_.code, class_.status) for class_ in CLASSES
    }
    assert len(ROWS) == len(CLASSES)


def test_every_error_class_has_its_own_code_and_status() -> None:
    """One code has two statuses: a quota of statements opens again (429), one of bytes does not."""
    codes = [class_.code for class_ in CLASSES]
    assert len(CLASSES) == len({(class_.code, class_.status) for class_ in CLASSES})
    assert [code for code in codes if codes.count(code) > 1] == ["quota-exceeded"] * 2
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", code) for code in codes)


def test_code_has_one_title() -> None:
    titles = {class_.code: class_.title for class_ in CLASSES}
    assert all(class_.title == titles[class_.code] for class_ in CLASSES)


def test_error_class_has_the_status_of_its_parent() -> None:
    for class_ in CLASSES:
        above: type[LRSError] = class_.__mro__[1]
        assert above is LRSError or above.status == class_.status


def test_error_tree_in_the_docstring_matches_the_classes() -> None:
    drawn = re.findall(r"[├└]── (\w+) +(\d{3})", errors.__doc__ or "")
    assert drawn == [(class_.__name__, str(class_.status)) for class_ in CLASSES]


def test_every_outcome_is_documented() -> None:
    reported = [kind for kind in get_args(model.OutcomeKind) if kind != "aborted"]
    assert [outcome for outcome, _, _ in OUTCOMES] == reported
    assert "`aborted`" in DOCUMENT
    statuses = {class_.code: str(class_.status) for class_ in CLASSES}
    for _, status, codes in OUTCOMES:
        assert {statuses[code] for code in re.findall(r"`([a-z-]+)`", codes)} <= {status}


def test_examples_have_the_titles_of_the_error_classes() -> None:
    titles = {class_.code: (class_.title, class_.status) for class_ in CLASSES}
    displayed = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", DOCUMENT, re.DOTALL)]
    problem, results = displayed
    assert (problem["title"], problem["status"]) == titles[problem["code"]]
    reported = results["results"][1]["problem"]
    assert (reported["title"], reported["status"]) == titles[reported["code"]]


async def test_first_example_is_the_response_of_the_server(partner: Partner) -> None:
    displayed = json.loads(re.findall(r"```json\n(.*?)```", DOCUMENT, re.DOTALL)[0])
    wrong = {"actor": {"mbox": "mailto:a@example.com"}, "verb": {"id": "completed"}}
    assert (await partner.send(wrong)).json() == displayed
