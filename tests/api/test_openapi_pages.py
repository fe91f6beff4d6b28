"""The OpenAPI document, its page and its files over HTTP."""

from __future__ import annotations

import re
from dataclasses import replace

import httpx
import pytest

from lrs import __version__, resources
from lrs.api import openapi
from lrs.settings import Settings
from tests.support.app import serving
from tests.support.openapi import DOCUMENT, LOADED


async def test_document_is_served(http: httpx.AsyncClient) -> None:
    answer = await http.get("/openapi.json")
    assert answer.status_code == 200
    assert answer.json() == {**DOCUMENT, "servers": [{"url": "/"}]}


async def test_document_has_the_public_path_as_server(settings: Settings) -> None:
    """The page sends its requests to this path."""
    public = replace(settings, public_url="https://example.com/learning/lrs")
    async with serving(public) as http:
        document = (await http.get("/openapi.json")).json()
        assert document["servers"] == [{"url": "/learning/lrs"}]


async def test_schema_files_are_served_unchanged(http: httpx.AsyncClient) -> None:
    for name, content in resources.schema_files().items():
        answer = await http.get(f"/schemas/{name}")
        if name in openapi.SOURCES:
            assert answer.status_code == 404
        else:
            assert answer.content == content
            assert answer.headers["content-type"] == "application/schema+json"


@pytest.mark.parametrize(
    "path", ["/schemas/x", "/schemas/../pyproject.toml", "/docs/x", "/docs/README.md"]
)
async def test_other_file_returns_404(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(path)
    assert answer.status_code == 404
    assert answer.json()["code"] == "not-found"


async def test_root_links_to_the_page_and_the_console(http: httpx.AsyncClient) -> None:
    answer = await http.get("/")
    assert answer.status_code == 200
    assert {"/docs", "/console"} <= set(re.findall('href="([^"]+)"', answer.text))


async def test_page_loads_files_of_the_server_only(http: httpx.AsyncClient) -> None:
    answer = await http.get("/docs")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert __version__ in answer.text
    loaded = re.findall(r'(?:src|href)="([^"]+)"', answer.text)
    assert {f"docs/{name}" for name in LOADED} <= set(loaded)
    for target in loaded:
        assert ":" not in target
        assert (await http.get(f"/{target}")).status_code == 200


@pytest.mark.parametrize(
    "path", ["/openapi.json", "/docs", "/docs/page.js", "/schemas/track-event.json"]
)
async def test_matching_etag_returns_304(http: httpx.AsyncClient, path: str) -> None:
    etag = (await http.get(path)).headers["etag"]
    for existing in (etag, f'"other", W/{etag}', "*"):
        answer = await http.get(path, headers={"If-None-Match": existing})
        assert answer.status_code == 304
        assert answer.content == b""
        assert answer.headers["etag"] == etag
    assert (await http.get(path, headers={"If-None-Match": '"other"'})).status_code == 200
