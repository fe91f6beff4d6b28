"""Headers, credentials and HEAD on all resources of /xapi."""

from __future__ import annotations

import httpx
import pytest

from tests.support.entities import RESOURCES, VERSION, Json
from tests.support.partners import Partner
from tests.support.statements import XAPI


@pytest.mark.parametrize("resource", RESOURCES)
async def test_head_has_the_headers_of_get_and_no_content(
    partner: Partner, server: str, resource: str
) -> None:
    auth = (partner.key, partner.secret)
    async with httpx.AsyncClient(base_url=server) as http:
        wrong = 200 if resource == "about" else 400
        for params, status in ((RESOURCES[resource], 200), ({"foo": "1"}, wrong)):
            requested: Json = {"params": params, "headers": XAPI, "auth": auth}
            got = await http.get(f"/xapi/{resource}", **requested)
            head = await http.head(f"/xapi/{resource}", **requested)
            assert (head.status_code, head.content, got.status_code) == (status, b"", status)
            for name in ("content-type", "content-length", "x-experience-api-version"):
                assert head.headers.get(name) == got.headers.get(name)


async def test_about_requires_no_version_and_no_credentials(http: httpx.AsyncClient) -> None:
    for headers in ({}, {VERSION: "9.9"}, {VERSION: "2.0.0"}):
        response = await http.get("/xapi/about", headers=headers)
        assert response.status_code == 200
        assert {"1.0.3", "2.0.0"} <= set(response.json()["version"])
        assert response.headers[VERSION]


@pytest.mark.parametrize("resource", [name for name in RESOURCES if name != "about"])
async def test_other_resources_require_version_and_credentials(
    http: httpx.AsyncClient, partner: Partner, resource: str
) -> None:
    url, params = f"/xapi/{resource}", RESOURCES[resource]
    response = await http.get(url, params=params, headers=partner.headers)
    assert (response.status_code, response.json()["code"]) == (400, "unsupported-version")
    assert response.headers[VERSION]
    response = await http.get(url, params=params, headers=XAPI)
    assert (response.status_code, response.headers[VERSION]) == (401, "1.0.3")


@pytest.mark.parametrize("version", ["1.0.3", "2.0.0"])
async def test_404_and_405_have_the_version_header(partner: Partner, version: str) -> None:
    headers = {VERSION: version, **partner.headers}
    for resource in ("nothing", "", "statements/more"):
        for method in ("GET", "POST", "PUT", "HEAD"):
            response = await partner.http.request(method, f"/xapi/{resource}", headers=headers)
            assert (response.status_code, response.headers[VERSION]) == (404, version), resource
    for resource in RESOURCES:
        response = await partner.http.patch(f"/xapi/{resource}", headers=headers)
        assert (response.status_code, response.headers[VERSION]) == (405, version)
        assert "GET" in response.headers["allow"]
        assert response.json()["code"] == "method-not-allowed"
    for resource in ("agents", "activities", "about"):
        for method in ("POST", "PUT", "DELETE"):
            response = await partner.http.request(method, f"/xapi/{resource}", headers=headers)
            assert (response.status_code, response.headers[VERSION]) == (405, version)


@pytest.mark.parametrize("path", ["/xapi/nowhere", "/xapi/", "/xapi/about/more"])
async def test_unknown_resource_has_the_version_header(http: httpx.AsyncClient, path: str) -> None:
    response = await http.get(path)
    assert response.status_code == 404
    assert response.headers["x-experience-api-version"]
