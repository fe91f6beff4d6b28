"""Unknown paths, other methods, HEAD, unexpected errors, oversized header fields."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace

import httpx
import pytest

from lrs.api import paths
from lrs.api.routes import ROUTES
from lrs.app import create_app
from lrs.settings import Settings
from tests.support.partners import Partner
from tests.support.statements import statement


@pytest.mark.parametrize("path", ["/v1", "/v1/partners", "/xapi", "/healthzz", "/nothing"])
async def test_unknown_path_returns_a_404_problem(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
    assert answer.headers["content-type"] == "application/problem+json"
    assert path in answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "similar"),
    [
        ("/xAPI", "/xapi/statements"),
        ("/data/xAPI/statements", "/xapi/statements"),
        ("/xAPI/Activities/State", "/xapi/activities/state"),
        ("/statements", "/xapi/statements"),
        ("/activities/state", "/xapi/activities/state"),
        ("/v1/statements", "/v1/partners/{partner}/statements"),
        ("/v1/partners/statements", "/v1/partners/{partner}/statements"),
        ("/v1/partner/demo/track", "/v1/partners/{partner}/track"),
        ("/oauth/token", "/oauth2/token"),
        ("/xapi/statement", "/xapi/statements"),
        ("/xapi/statements.json", "/xapi/statements"),
        ("/xapi/statements/9f2c4b7e-3b8e-4a55-8f39-1f1d5a1c7c11", "/xapi/statements"),
        ("/v1/partners/demo/statement", "/v1/partners/{partner}/statements"),
        ("/v1/partners/demo/statements/1", "/v1/partners/{partner}/statements"),
        ("/partners/demo/statements", "/v1/partners/{partner}/statements"),
        ("/percipio/v1/partners/demo/Track", "/v1/partners/{partner}/track"),
        (
            "/v1/partners/demo/learners/1/record",
            "/v1/partners/{partner}/learners/{learner}/records",
        ),
        (
            "/v1/partners/demo/organization/1/statements",
            "/v1/partners/{partner}/organizations/{organization}/statements",
        ),
        ("/api/lti/v1/xAPI/abc", "/api/lti/v1/xapi/{token}"),
        ("/healthzz", "/healthz"),
    ],
)
async def test_404_names_a_similar_path(http: httpx.AsyncClient, path: str, similar: str) -> None:
    response = await http.get(path)
    assert response.status_code == 404
    assert response.json()["detail"] == f"No resource at {path}. The path {similar} is similar."


@pytest.mark.parametrize(
    "path", ["/xapi//about", "//xapi/about", "/xapi/about/", "/xapi///about//"]
)
async def test_superfluous_slashes_are_ignored(http: httpx.AsyncClient, path: str) -> None:
    response = await http.get(f"http://lrs.test{path}")
    assert response.status_code == 200
    assert response.headers["x-experience-api-version"]


async def test_base_path_of_percipio_is_served(partner: Partner) -> None:
    response = await partner.http.post(
        f"/content-aggregation{partner.url('statements')}",
        json=statement(),
        headers=partner.headers,
    )
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/healthz", {"GET", "HEAD"}),
        ("POST", "/readyz", {"GET", "HEAD"}),
        ("PUT", "/oauth2/token", {"POST"}),
        ("PATCH", "/xapi/statements", {"GET", "HEAD", "POST"}),
        ("DELETE", "/v1/partners/x/statements", {"GET", "HEAD", "POST"}),
        ("HEAD", "/v1/partners/x/track", {"POST"}),
    ],
)
async def test_unsupported_method_returns_405_with_allow(
    http: httpx.AsyncClient, method: str, path: str, allowed: set[str]
) -> None:
    answer = await http.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["content-type"] == "application/problem+json"
    assert allowed <= set(answer.headers["allow"].split(", "))
    if method != "HEAD":
        assert answer.json()["code"] == "method-not-allowed"


@pytest.mark.parametrize(
    ("path", "status"),
    [("/healthz", 200), ("/readyz", 200), ("/metrics", 200), ("/nothing", 404), ("/docs", 200)],
)
async def test_head_has_the_headers_of_get_and_no_body(server: str, path: str, status: int) -> None:
    async with httpx.AsyncClient(base_url=server) as http:
        head, get = await http.head(path), await http.get(path)
        assert (head.status_code, get.status_code) == (status, status)
        assert head.content == b""
        assert head.headers["content-type"] == get.headers["content-type"]
        # The connection is still usable.
        assert (await http.get("/healthz")).text == "ok\n"


async def test_unexpected_error_returns_500_without_details(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(replace(settings, log_level="error"))
    # Without its lifespan, the application has no services, which no handler expects.
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://lrs.test") as http:
        answer = await http.get("/readyz", headers={"X-Request-ID": "failing"})
    assert (answer.status_code, answer.json()["code"]) == (500, "internal-error")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == "failing"
    assert "services" not in answer.text
    assert "unexpected error" in caplog.text


async def test_endless_header_fields_return_431(server: str) -> None:
    answer = await _raw_response(
        server, b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 70_000
    )
    assert answer.startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(
    "head",
    [
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 66_000,
        b"GET /healthz?" + b"a" * 66_000 + b" HTTP/1.1\r\nHost: x",
    ],
    ids=["header", "query"],
)
async def test_large_header_fields_in_one_packet_return_431(server: str, head: bytes) -> None:
    answer = await _raw_response(server, head + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b"head-too-large" in answer


@pytest.mark.parametrize(
    "request_line",
    [b"FOO /healthz HTTP/1.1", b"GET /healthz HTTP/9", b"not http", b"GET / HTTP/1.1\r\n: x"],
)
async def test_malformed_request_returns_a_400_problem(server: str, request_line: bytes) -> None:
    answer = await _raw_response(server, request_line + b"\r\nHost: x\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"content-type: application/problem+json" in head
    assert json.loads(body)["code"] == "bad-request"


async def _raw_response(server: str, sent: bytes) -> bytes:
    """All received bytes until the connection is closed."""
    host, _, port = server.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(sent)
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    return answer


async def test_large_body_is_not_counted_as_header_fields(server: str) -> None:
    """Header fields and bodies in one packet, several requests on one connection."""
    async with httpx.AsyncClient(base_url=server) as client:
        for _ in range(3):
            answer = await client.post("/oauth2/token", content=b"x" * 2_000_000)
            assert answer.status_code == 413
            assert (await client.get("/healthz")).status_code == 200


@pytest.mark.parametrize(
    ("path", "similar"),
    [
        ("/token", "/oauth2/token"),
        ("/auth/oauth/token", "/oauth2/token"),
        ("/lrs/v2/statements", "/xapi/statements"),
    ],
)
async def test_path_with_another_prefix_names_the_path_with_the_same_end(
    http: httpx.AsyncClient, path: str, similar: str
) -> None:
    answer = await http.get(path)
    assert answer.status_code == 404
    assert f"The path {similar} is similar." in answer.json()["detail"]


def test_hints_for_long_paths_take_bounded_time() -> None:
    """Anybody can request them: the measure is the number of comparisons, a millisecond each."""
    templates = [route.path for route in ROUTES]
    started = time.process_time()
    for path in ("/a" * 10_000, "/v1/partners/" + "x" * 20_000, "/xapi" * 5_000, "/" * 100):
        paths.similar_path(path, templates)
    assert time.process_time() - started < 1
