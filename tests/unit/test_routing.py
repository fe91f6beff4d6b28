"""Routing of paths and methods to resources."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response

from lrs.api.routing import NOWHERE, Resources, resource, segmented
from lrs.errors import NotFound


async def handle(request: Request) -> Response:
    return Response(b"here")


PLAIN = resource("/things/all", get=handle)
ONE = resource("/things/{thing}", get=handle, post=handle)
PART = segmented("/things/{thing}/parts/{part}", get=handle)
DEEP = resource("/files/{path:path}", get=handle)
RESOURCES = Resources([DEEP, PART, ONE, PLAIN])


def scope(path: str, method: str = "GET", raw: str | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "http", "method": method, "path": path, "headers": []}
    return found if raw is None else {**found, "raw_path": raw.encode()}


@pytest.mark.parametrize(
    ("path", "found", "parameters"),
    [
        ("/things/all", PLAIN, None),
        ("/things/1", ONE, {"thing": "1"}),
        ("/things/a b", ONE, {"thing": "a b"}),
        ("/things/1/parts/2", PART, {"thing": "1", "part": "2"}),
        ("/files/a/b", DEEP, {"path": "a/b"}),
        ("/files/", DEEP, {"path": ""}),
    ],
)
def test_a_path_leads_to_its_resource(path: str, found: object, parameters: object) -> None:
    asked = scope(path)
    assert RESOURCES.find(asked) is found
    assert asked.get("path_params") == parameters


@pytest.mark.parametrize(
    "path", ["", "/", "/things", "/things/", "/things/1/", "/things/1/2", "/x"]
)
def test_any_other_leads_nowhere(path: str) -> None:
    assert RESOURCES.find(scope(path)) is NOWHERE


def test_a_path_can_be_cut_before_it_is_decoded() -> None:
    asked = scope("/things/a/b/parts/ü", raw="/things/a%2Fb/parts/%C3%BC")
    assert RESOURCES.find(asked) is PART
    assert asked["path_params"] == {"thing": "a/b", "part": "ü"}


async def answered(path: str, method: str = "GET") -> Response:
    asked = scope(path, method)
    return await RESOURCES.find(asked).answer(Request(asked))


async def test_get_answers_head_too() -> None:
    for method in ("GET", "HEAD"):
        assert (await answered("/things/all", method)).body == b"here"


async def test_another_method_is_told_which_there_are() -> None:
    response = await answered("/things/1", "DELETE")
    assert (response.status_code, response.headers["allow"]) == (405, "GET, POST, HEAD")


async def test_nothing_is_there_for_any_method() -> None:
    for method in ("GET", "POST", "OPTIONS", "BREW"):
        assert (await answered("/nowhere", method)).status_code == 404


async def test_nothing_is_there_whatever_the_query() -> None:
    asked = {**scope("/nowhere"), "query_string": b"\xff"}
    assert (await NOWHERE.answer(Request(asked))).status_code == 404


async def test_an_error_that_is_raised_again_gathers_nothing() -> None:
    error = NotFound("Not here.")

    async def fail(request: Request) -> Response:
        raise error

    asked = scope("/fails")
    failing = resource("/fails", get=fail)
    for _ in range(3):
        assert (await failing.answer(Request(asked))).status_code == 404
    assert error.__traceback__ is None
