"""Responses while the server starts."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import httpx
import pytest

from lrs.server import sockets
from lrs.server.startup_responder import StartupResponder


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with sockets.listen("127.0.0.1", 0, workers=1) as listener:
        yield listener


@pytest.fixture
def url(listener: socket.socket) -> Iterator[str]:
    responder = StartupResponder(listener)
    responder.step = "migration 2 of 3, 0007_index"
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    responder.close()
    responder.close()


def test_startup_is_alive_but_not_ready(url: str) -> None:
    assert httpx.get(f"{url}/healthz").text == "ok\n"
    response = httpx.get(f"{url}/readyz?x=1")
    assert (response.status_code, response.json()["ready"]) == (503, False)
    assert response.json()["detail"] == "The server is starting: migration 2 of 3, 0007_index."
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["retry-after"] == "1"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PROPFIND"])
def test_other_requests_return_503(url: str, method: str) -> None:
    response = httpx.request(method, f"{url}/xapi/statements", content=b"[]")
    assert (response.status_code, response.json()["code"]) == (503, "unavailable")


def test_head_has_no_body(url: str) -> None:
    response = httpx.head(f"{url}/xapi/statements")
    assert (response.status_code, response.content) == (503, b"")


def test_silent_and_malformed_clients_do_not_delay_others(url: str) -> None:
    address = ("127.0.0.1", int(url.rpartition(":")[2]))
    with socket.create_connection(address), socket.create_connection(address) as malformed:
        malformed.sendall(b"\x16\x03\x01 nonsense\r\n\r\n")
        assert httpx.get(f"{url}/healthz").status_code == 200


def test_connection_after_close_waits_for_a_worker(listener: socket.socket) -> None:
    StartupResponder(listener).close()
    with socket.create_connection(listener.getsockname()) as client:
        accepted, address = listener.accept()
        accepted.close()
        assert address == client.getsockname()
