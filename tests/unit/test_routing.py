"""Routing: the resource of a path, 404, 405, HEAD and the errors that handlers raise."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lrs.api.router import EncodedPathRoute, Router
from lrs.errors import NotFound

ERROR = NotFound("There is no thing.")


async def get(request: Request) -> Response:
    """The path of the route and the parameters in the path."""
    return JSONResponse([request.scope["route"].path, request.path_params])


async def fail(_: Request) -> Response:
    raise ERROR


ROUTES = [
    Route("/files/{path:path}", get),
    EncodedPathRoute("/things/{thing}/parts/{part}", get),
    Route("/things/{thing}", get),
    Route("/things/{thing}", get, methods=["POST"]),
    Route("/things/all", get),
    Route("/fails", fail),
]


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=Router(ROUTES))
    async with httpx.AsyncClient(transport=transport, base_url="http://lrs.test") as http:
        yield http


@pytest.mark.parametrize(
    ("path", "route", "parameters"),
    [
        ("/things/all", "/things/all", {}),
        ("/things/1", "/things/{thing}", {"thing": "1"}),
        ("/things/a%20b", "/things/{thing}", {"thing": "a b"}),
        ("/things/1/parts/2", "/things/{thing}/parts/{part}", {"thing": "1", "part": "2"}),
        ("/files/a/b", "/files/{path:path}", {"path": "a/b"}),
        ("/files/", "/files/{path:path}", {"path": ""}),
    ],
)
async def test_path_selects_its_route(
    client: httpx.AsyncClient, path: str, route: str, parameters: dict[str, str]
) -> None:
    assert (await client.get(path)).json() == [route, parameters]


@pytest.mark.parametrize("path", ["/", "/things", "/things/", "/things/1/", "/things/1/2", "/x"])
async def test_other_path_returns_404(client: httpx.AsyncClient, path: str) -> None:
    response = await client.get(path)
    assert (response.status_code, response.json()["code"]) == (404, "not-found")


async def test_encoded_slash_belongs_to_the_parameter(client: httpx.AsyncClient) -> None:
    response = await client.get("/things/a%2Fb/parts/%C3%BC")
    assert response.json() == ["/things/{thing}/parts/{part}", {"thing": "a/b", "part": "ü"}]


async def test_encoded_path_without_raw_path_is_matched() -> None:
    """A server need not send `raw_path`."""
    sent: list[Any] = []
    scope = {"type": "http", "method": "GET", "path": "/things/a b/parts/2", "headers": []}

    async def receive() -> Any:
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(message)

    await Router(ROUTES)(scope, receive, send)
    assert scope["path_params"] == {"thing": "a b", "part": "2"}


async def test_head_runs_the_get_handler(client: httpx.AsyncClient) -> None:
    get_response = await client.get("/things/all")
    head_response = await client.head("/things/all")
    assert head_response.status_code == 200
    assert head_response.headers == get_response.headers


async def test_other_method_returns_405_with_allow(client: httpx.AsyncClient) -> None:
    response = await client.delete("/things/1")
    assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD, POST")


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "BREW"])
async def test_unknown_path_returns_404_for_every_method(
    client: httpx.AsyncClient, method: str
) -> None:
    assert (await client.request(method, "/nowhere")).status_code == 404


async def test_unknown_path_with_undecodable_query_returns_404(client: httpx.AsyncClient) -> None:
    assert (await client.get("/nowhere?%ff")).status_code == 404


async def test_shared_error_keeps_no_traceback(client: httpx.AsyncClient) -> None:
    for _ in range(3):
        assert (await client.get("/fails")).status_code == 404
    assert ERROR.__traceback__ is None
