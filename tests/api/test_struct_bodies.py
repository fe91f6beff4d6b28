"""JSON bodies that are structs: errors name the member, on every interface."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from lrs.api.services import Services
from lrs.auth import scopes
from tests.support.operators import operator_headers
from tests.support.partners import new_partner


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("learners/x/merge", {"into": "y", "extra": 1}, ("/extra", "expected no member but into")),
        ("learners/x/merge", {}, ("/into", "expected a value, found none")),
        ("learners/x/merge", {"into": 1}, ("/into", "expected str, got int")),
        ("learners/x/merge", {"into": "a\0b"}, ("/into", "expected a text without NUL")),
        ("learners/x/merge", [], ("", "expected object, got array")),
        (
            "learners/x/detach",
            {"identifier": "a", "home": "b"},
            ("/home", "expected no member but identifier, home_page"),
        ),
        (
            "learners/x/rename",
            {"a/b~c": "x"},
            ("/a~1b~0c", "expected no member but user, first_name, last_name"),
        ),
        ("contents/x/aliases", {"alias": []}, ("/alias", "expected no member but aliases")),
        (
            "tools",
            {"name": "x", "extra": 1},
            ("/extra", "expected no member but name, consumer_key, secret"),
        ),
        ("tools", {}, ("/name", "expected a value, found none")),
    ],
)
async def test_invalid_body_of_a_partner_names_the_member(
    services: Services, http: httpx.AsyncClient, path: str, body: Any, expected: tuple[str, str]
) -> None:
    admin = await new_partner(services, http, frozenset({scopes.ADMIN}))
    method = "PUT" if path.endswith("aliases") else "POST"
    response = await http.request(method, admin.url(path), json=body, headers=admin.headers)
    assert response.status_code == 400, response.text
    (error,) = response.json()["errors"]
    assert (error["pointer"], error["detail"]) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"name": "x", "extra": 1}, ("/extra", "expected no member but name, title, home_page")),
        ({"title": "x"}, ("/name", "expected a value, found none")),
        ({"name": ["x"]}, ("/name", "expected str, got array")),
    ],
)
async def test_invalid_body_of_an_operator_names_the_member(
    services: Services, http: httpx.AsyncClient, body: Any, expected: tuple[str, str]
) -> None:
    headers = await operator_headers(services)
    response = await http.post("/v1/admin/partners", json=body, headers=headers)
    assert response.status_code == 400, response.text
    (error,) = response.json()["errors"]
    assert (error["pointer"], error["detail"]) == expected
