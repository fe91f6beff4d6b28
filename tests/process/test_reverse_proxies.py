"""nginx and Caddy as documented, in front of `lrs serve`, with and without a path prefix."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

import httpx
import psutil
import pytest

from lrs.api.services import Services
from tests.support.app import SECRET_KEY
from tests.support.attachments import MIXED, attachment_of, multipart_body, statement_with
from tests.support.canvas import accepted, new_tool
from tests.support.partners import Partner, new_partner
from tests.support.reverse_proxies import (
    BASE_URLS,
    CLIENT_ADDRESS,
    HAS_IPV6,
    Proxy,
    free_port,
    running_proxy,
)
from tests.support.server_process import Server, wait_for
from tests.support.statements import XAPI, statement

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class Site:
    """One site of a proxy: its client, the base URL, and the server behind it."""

    proxy: Proxy
    name: str
    base_url: str
    server: Server
    http: httpx.AsyncClient

    @property
    def base_path(self) -> str:
        return urlsplit(self.base_url).path


@pytest.fixture(scope="module")
def servers(
    database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Server]]:
    """`root` takes scheme and host from the proxy; `prefix` has a public URL."""

    ports = {name: free_port() for name in BASE_URLS}

    def start(name: str) -> Server:
        return Server(
            tmp_path_factory.mktemp(name) / "data",
            port=ports[name],
            LRS_DATABASE_URL=database_url,
            LRS_SECRET_KEY=SECRET_KEY,
            **({"LRS_PUBLIC_URL": BASE_URLS[name]} if name == "prefix" else {}),
        )

    with ThreadPoolExecutor() as pool:
        started = dict(zip(BASE_URLS, pool.map(start, BASE_URLS), strict=True))
    yield started
    for server in started.values():
        server.close()


@pytest.fixture(scope="module", params=["nginx", "caddy"])
def proxy(
    servers: dict[str, Server],
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Proxy]:
    ports = {name: urlsplit(server.url).port or 0 for name, server in servers.items()}
    with running_proxy(request.param, tmp_path_factory.mktemp(request.param), ports) as running:
        yield running


@pytest.fixture(params=BASE_URLS)
async def site(
    proxy: Proxy, servers: dict[str, Server], request: pytest.FixtureRequest
) -> AsyncIterator[Site]:
    base_url = BASE_URLS[request.param]
    async with proxy.client(base_url) as http:
        yield Site(proxy, request.param, base_url, servers[request.param], http)


@pytest.fixture
async def proxied(site: Site, services: Services) -> Partner:
    """A partner that sends its requests through the proxy."""
    return await new_partner(services, site.http)


# Paths and methods


@pytest.mark.parametrize(
    "path",
    ["/metrics", "/%6detrics", "//metrics", "/x/../metrics", "/x%2f..%2fmetrics", "/readyz",
     "/metrics/", "//metrics//", "/content-aggregation/metrics", "/content-aggregation//%6detrics",
     "/docs", "/docs/index.css", "/doc%73", "/openapi.json", "/content-aggregation/docs"],
)  # fmt: skip
async def test_closed_path_returns_404_from_the_proxy(site: Site, path: str) -> None:
    # httpx would normalize the path.
    url = httpx.URL(site.base_url).copy_with(raw_path=f"{site.base_path}{path}".encode())
    response = await site.http.send(httpx.Request("GET", url))
    assert response.status_code == 404
    assert "problem" not in response.headers.get("content-type", "")


async def test_http_is_redirected_to_https(proxy: Proxy) -> None:
    async with proxy.client() as http:
        response = await http.post("http://lrs.example.com/xapi/statements?a=%2F", content=b"{}")
    assert response.status_code == 308
    assert response.headers["location"] == "https://lrs.example.com/xapi/statements?a=%2F"


async def test_head_and_preflight_pass(site: Site) -> None:
    head, get = await site.http.head("/xapi/about"), await site.http.get("/xapi/about")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"]
    headers = {"Origin": "https://courses.example.com", "Access-Control-Request-Method": "PUT"}
    preflight = await site.http.options("/xapi/activities/state", headers=headers)
    assert preflight.status_code == 200
    assert "PUT" in preflight.headers["access-control-allow-methods"]


async def test_encoded_slashes_in_a_path_are_kept(site: Site, proxied: Partner) -> None:
    path = f"/api/v1/users/{quote('https://example.com//a/b c?d', safe='')}/page_views"
    response = await proxied.http.get(path, headers=proxied.headers)
    assert response.status_code == 200, response.text
    assert f"<{site.base_url}{path}?" in response.headers["link"]


async def test_long_query_passes(proxied: Partner) -> None:
    agent = {"mbox": "mailto:learner@example.com", "name": "x" * 40_000}
    response = await proxied.http.get(
        "/xapi/statements", params={"agent": json.dumps(agent)}, headers=XAPI | proxied.headers
    )
    assert response.status_code == 200, response.text


# URLs


async def test_signed_callback_is_accepted(
    site: Site, proxied: Partner, services: Services
) -> None:
    tool = await new_tool(services, proxied)
    assert tool.url.startswith(f"{site.base_url}/api/lti/v1/xapi/")
    accepted(await tool.send())


async def test_more_link_has_the_prefix(site: Site, proxied: Partner) -> None:
    await proxied.send([statement(), statement()])
    response = await proxied.http.get(
        "/xapi/statements", params={"limit": 1}, headers=XAPI | proxied.headers
    )
    more = response.json()["more"]
    assert more.startswith(f"{site.base_path}/xapi/statements?")
    url = httpx.URL(site.base_url).join(more)
    page = (await proxied.http.get(url, headers=XAPI | proxied.headers)).json()
    assert len(page["statements"]) == 1


async def test_prefix_header_of_a_client_is_removed(site: Site, proxied: Partner) -> None:
    await proxied.send([statement(), statement()])
    headers = XAPI | proxied.headers | {"X-Forwarded-Prefix": "/elsewhere"}
    response = await proxied.http.get("/xapi/statements", params={"limit": 1}, headers=headers)
    assert response.json()["more"].startswith(f"{site.base_path}/xapi/statements?")


async def test_address_of_the_client_is_logged(site: Site, proxied: Partner) -> None:
    request_id = f"test-{proxied.name}"
    await proxied.http.get(
        "/xapi/about", headers={"X-Request-ID": request_id, "X-Forwarded-For": "203.0.113.9"}
    )
    wait_for(lambda: request_id in site.server.said())
    (line,) = [line for line in site.server.said().splitlines() if request_id in line]
    assert json.loads(line)["client"] == CLIENT_ADDRESS


# Bodies and headers


async def test_large_request_and_response_pass(proxied: Partner) -> None:
    content = bytes(range(256)) * (3 * MEBIBYTE // 256)
    sent = statement_with(attachment_of(content))
    body = multipart_body(sent, content)
    stored = await proxied.http.post(
        "/xapi/statements", content=body, headers=XAPI | MIXED | proxied.headers
    )
    assert stored.status_code == 200, stored.text
    response = await proxied.http.get(
        "/xapi/statements",
        params={"statementId": sent["id"], "attachments": "true"},
        headers=XAPI | proxied.headers,
    )
    assert content in response.content


async def test_body_above_the_limit_returns_413(site: Site, proxied: Partner) -> None:
    if site.proxy.name == "caddy":
        pytest.skip("Caddy resets the connection of a client that goes on sending")
    response = await proxied.send(b" " * (16 * MEBIBYTE + 1))
    assert response.status_code == 413


async def test_etag_stays_strong(proxied: Partner) -> None:
    url = httpx.URL(
        "/xapi/activities/state",
        params={
            "activityId": "http://example.com/1",
            "agent": '{"mbox":"mailto:a@example.com"}',
            "stateId": "bookmark",
        },
    )
    headers = XAPI | proxied.headers | {"Content-Type": "text/html", "Accept-Encoding": "gzip, br"}
    page = b"<p>page</p>" * 1000
    put = await proxied.http.put(url, content=page, headers=headers)
    assert put.status_code == 204, put.text
    get = await proxied.http.get(url, headers=headers)
    assert (get.content, "content-encoding" in get.headers) == (page, False)
    assert re.fullmatch(r'"[^"]+"', get.headers["etag"])
    headers["If-Match"] = get.headers["etag"]
    assert (await proxied.http.put(url, content=b"x", headers=headers)).status_code == 204
    assert (await proxied.http.put(url, content=b"y", headers=headers)).status_code == 412


async def test_export_is_compressed_by_the_server_only(proxied: Partner) -> None:
    for accepted_encoding, encoding in (("gzip", "gzip"), ("identity", None)):
        response = await proxied.http.get(
            proxied.url("reports/user_dim.csv"),
            headers=proxied.headers | {"Accept-Encoding": accepted_encoding},
        )
        assert response.status_code == 200, response.text
        assert response.headers.get("content-encoding") == encoding
        assert response.text.startswith("user_id,")


# Connections


@pytest.mark.skipif(not HAS_IPV6, reason="this system has no IPv6")
async def test_address_of_an_ipv6_client_is_logged(site: Site, proxied: Partner) -> None:
    request_id = f"ipv6-{proxied.name}"
    async with site.proxy.client(site.base_url, address="::1") as http:
        await http.get("/xapi/about", headers={"X-Request-ID": request_id})
    wait_for(lambda: request_id in site.server.said())
    (line,) = [line for line in site.server.said().splitlines() if request_id in line]
    assert json.loads(line)["client"] == "::1"


async def test_connections_to_the_server_are_kept(site: Site) -> None:
    port = site.proxy.upstream_ports[site.name]

    def upstream_connections() -> set[int]:
        connections = psutil.Process(site.proxy.pid).net_connections("tcp")
        return {item.laddr.port for item in connections if item.raddr and item.raddr.port == port}

    await site.http.get("/healthz")
    before = upstream_connections()
    for _ in range(3):
        async with site.proxy.client(site.base_url) as http:
            assert (await http.get("/healthz")).status_code == 200
    assert before
    assert upstream_connections() == before


def test_http_2_client_is_served(proxy: Proxy) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")
    host = f"lrs.example.com:{proxy.https_port}"
    command = [curl, "-s", "--http2", "--cacert", str(proxy.certificate), "-o", "/dev/null",
               "--resolve", f"{host}:127.0.0.1", "-w", "%{http_version} %{http_code}",
               f"https://{host}/healthz"]  # fmt: skip
    ran = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert ran.stdout == "2 200", ran.stderr
