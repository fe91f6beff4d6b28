"""`lrs serve`: errors before it starts."""

from __future__ import annotations

import socket

import pytest

from lrs.server import serve
from lrs.settings import Settings
from tests.support.cli import Lrs, refused


def test_port_in_use_is_reported(lrs: Lrs) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        sentence = refused(lrs("serve", "--port", port))
    assert sentence == (
        f"Cannot listen on 127.0.0.1 port {port}: address already in use; "
        "choose another with --port."
    )


@pytest.mark.parametrize(
    ("host", "public_url", "warned"),
    [
        ("0.0.0.0", "", True),
        ("::", "http://lrs.example.com", True),
        ("10.0.0.7", "", True),
        ("0.0.0.0", "https://lrs.example.com", False),
        ("127.0.0.1", "", False),
        ("::1", "http://lrs.example.com", False),
        ("localhost", "", False),
    ],
)
def test_public_address_without_https_is_warned_about(
    host: str, public_url: str, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    serve._warn_about_public_address(Settings(host=host, public_url=public_url))
    assert [record.levelname for record in caplog.records] == ["WARNING"] * warned
    if warned:
        assert "LRS_PUBLIC_URL" in caplog.text


def test_foreign_address_is_reported(lrs: Lrs) -> None:
    assert refused(lrs("serve", "--host", "192.0.2.1")).startswith("Cannot listen on 192.0.2.1")
