"""Scopes, version and parameters of the document resources."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from lrs.api.services import Services
from lrs.auth import scopes
from tests.support.documents import NONE_YET, RESOURCES, Resource, code
from tests.support.partners import Partner, new_partner


@pytest.mark.parametrize(
    ("granted", "reads", "writes"),
    [
        ("state", "state", "state"),
        ("profile", "profile", "profile"),
        ("all/read", "state profile", ""),
        ("all", "state profile", "state profile"),
        ("statements/read", "", ""),
        ("define", "", ""),
    ],
)
async def test_document_request_without_scope_returns_403(
    services: Services,
    http: httpx.AsyncClient,
    make: Callable[..., Resource],
    granted: str,
    reads: str,
    writes: str,
) -> None:
    some = await new_partner(services, http, frozenset({granted}))
    for kind in RESOURCES:
        resource = make(kind, some)
        scope = scopes.STATE if resource.is_state else scopes.PROFILE
        for method in ("GET", "HEAD", "PUT", "POST", "DELETE"):
            allowed = reads if method in ("GET", "HEAD") else writes
            response = await resource.ask(method, "one", None if method == "GET" else {}, NONE_YET)
            assert (response.status_code == 403) == (scope not in allowed.split()), (kind, method)
            if response.status_code == 403 and method != "HEAD":
                assert code(response) == (403, "missing-scope")
                assert scope in response.json()["detail"]


async def test_version_is_checked_before_credentials_before_parameters(
    http: httpx.AsyncClient, partner: Partner
) -> None:
    path = "/xapi/activities/state"
    assert (await http.get(path)).status_code == 400
    version = {"X-Experience-API-Version": "1.0.3"}
    assert (await http.get(path, headers=version)).status_code == 401
    response = await http.get(path, headers={**version, **partner.headers})
    assert code(response) == (400, "invalid-parameter")
    assert [error["pointer"] for error in response.json()["errors"]] == ["activityId", "agent"]


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE"])
async def test_unknown_or_missing_parameter_is_refused(resource: Resource, method: str) -> None:
    content = {"a": 1} if method in ("PUT", "POST") else None
    response = await resource.ask(method, "one", content, foo="bar")
    assert code(response) == (400, "invalid-parameter")
    assert [error["pointer"] for error in response.json()["errors"]] == ["foo"]
    if "agent" in resource.scope:
        response = await resource.ask(method, "one", content, agent="true")
        assert [error["pointer"] for error in response.json()["errors"]] == ["agent"]
    if method != "GET" and not (method == "DELETE" and resource.is_state):
        response = await resource.ask(method, None, content)
        assert [error["pointer"] for error in response.json()["errors"]] == [resource.id_parameter]


async def test_parameter_that_is_not_utf8_is_refused(partner: Partner, resource: Resource) -> None:
    response = await partner.http.get(
        f"{resource.path}?{resource.id_parameter}=%FF",
        headers={"X-Experience-API-Version": resource.version, **partner.headers},
    )
    assert code(response) == (400, "invalid-parameter")


async def test_other_methods_return_405(resource: Resource) -> None:
    assert code(await resource.ask("PATCH", "one", {})) == (405, "method-not-allowed")
