"""`lrs serve`: errors before it starts."""

from __future__ import annotations

import socket

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


def test_foreign_address_is_reported(lrs: Lrs) -> None:
    assert refused(lrs("serve", "--host", "192.0.2.1")).startswith("Cannot listen on 192.0.2.1")
