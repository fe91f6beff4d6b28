"""CORS: allowed origins, preflight requests, exposed headers."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest

from lrs.app import create_app
from lrs.settings import Settings
from tests.support.app import serving
from tests.support.entities import RESOURCES
from tests.support.partners import Partner
from tests.support.statements import XAPI

# Requests from content


ORIGIN = "https://content.example.com"


@pytest.mark.parametrize("resource", RESOURCES)
@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE", "HEAD"])
async def test_cors_preflight_allows_methods_and_headers(
    http: httpx.AsyncClient, resource: str, method: str
) -> None:
    wanted = "authorization, content-type, if-match, if-none-match, x-experience-api-version"
    answer = await http.options(
        f"/xapi/{resource}",
        headers={
            "Origin": ORIGIN,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": wanted,
        },
    )
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"
    assert method in answer.headers["access-control-allow-methods"]
    allowed = answer.headers["access-control-allow-headers"].lower().split(", ")
    assert set(wanted.split(", ")) <= set(allowed)
    assert int(answer.headers["access-control-max-age"]) > 0


async def test_cors_response_exposes_headers(partner: Partner) -> None:
    """Also of errors, so that content can read them."""
    for headers, status in ((XAPI | partner.headers, 200), (partner.headers, 400), (XAPI, 401)):
        answer = await partner.http.get("/xapi/statements", headers={**headers, "Origin": ORIGIN})
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == "*"
        exposed = answer.headers["access-control-expose-headers"].lower().split(", ")
        assert {
            "etag",
            "last-modified",
            "x-experience-api-version",
            "x-experience-api-consistent-through",
        } <= set(exposed)
        assert "access-control-allow-credentials" not in answer.headers


async def test_cors_allows_configured_origins_only(settings: Settings, partner: Partner) -> None:
    some = replace(settings, cors_origins=f"{ORIGIN}, https://other.example.com")
    none = replace(settings, cors_origins="")
    allow = "access-control-allow-origin"
    preflight = {"Access-Control-Request-Method": "PUT"}
    async with serving(some) as http:
        for origin, allowed in ((ORIGIN, ORIGIN), ("https://evil.example.com", None)):
            answer = await http.get("/xapi/about", headers={"Origin": origin})
            assert answer.headers.get(allow) == allowed
            answer = await http.options("/xapi/about", headers={"Origin": origin, **preflight})
            assert answer.headers.get(allow) == allowed
    async with serving(none) as http:
        answer = await http.get("/xapi/about", headers={"Origin": ORIGIN})
        assert (answer.status_code, answer.headers.get(allow)) == (200, None)
        answer = await http.options("/xapi/about", headers={"Origin": ORIGIN, **preflight})
        assert answer.headers.get(allow) is None


# Origins


async def preflight(
    origins: str, headers: str = "authorization,x-experience-api-version"
) -> httpx.Response:
    app = create_app(Settings(cors_origins=origins))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://lrs.test") as http:
        return await http.options(
            "/healthz",
            headers={
                "Origin": "https://courses.example",
                "Access-Control-Request-Method": "PUT",
                "Access-Control-Request-Headers": headers,
            },
        )


@pytest.mark.parametrize(
    ("origins", "allowed"),
    [
        ("*", "*"),
        ("https://courses.example", "https://courses.example"),
        ("https://a.example, https://courses.example", "https://courses.example"),
    ],
)
async def test_cors_preflight_of_an_allowed_origin_succeeds(origins: str, allowed: str) -> None:
    answer = await preflight(origins)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == allowed
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(("origins", "allowed"), [("*", True), ("https://courses.example", False)])
async def test_cors_preflight_with_another_header_names_the_allowed_ones(
    origins: str, allowed: bool
) -> None:
    response = await preflight(origins, "authorization,x-requested-with")
    assert response.status_code == 200
    headers = response.headers["access-control-allow-headers"].lower()
    assert "authorization" in headers
    assert ("x-requested-with" in headers) is allowed


@pytest.mark.parametrize("origins", ["", "https://a.example", "https://courses.example/"])
async def test_cors_preflight_of_another_origin_is_refused(origins: str) -> None:
    answer = await preflight(origins)
    assert answer.status_code >= 400
    assert "access-control-allow-origin" not in answer.headers
