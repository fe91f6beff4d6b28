"""Problems rendered as application/problem+json."""

from __future__ import annotations

import pytest

from lrs.api import problem_details
from lrs.errors import InvalidStatement, LRSError, Violation
from tests.support.problems import CLASSES

# Rendering


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.code)
def test_problem_has_type_title_status_detail_and_code(kind: type[LRSError]) -> None:
    assert problem_details.problem(kind("A sentence.")) == {
        "type": f"urn:lrs:problem:{kind.code}",
        "title": kind.title,
        "status": kind.status,
        "detail": "A sentence.",
        "code": kind.code,
    }


def test_violations_are_rendered_in_errors() -> None:
    error = InvalidStatement("x", violations=[Violation("/verb", "wrong", "rule")])
    assert problem_details.problem(error)["errors"] == [
        {"pointer": "/verb", "detail": "wrong", "requirement": "rule"}
    ]
