"""Streams of the live page in a server that stops."""

from __future__ import annotations

import re
import time
from pathlib import Path

import httpx

from tests.support.operators import PASSWORD
from tests.support.server_process import Server


def test_streams_end_when_the_server_stops(data: Path) -> None:
    """Otherwise they would last until the timeout of the shutdown."""
    server = Server(data, LRS_SHUTDOWN_TIMEOUT_SECONDS="60")
    try:
        while not (link := re.search(r"/console/link\?token=(\S+)", server.greeting)):
            assert server.process.stdout
            server.greeting += server.process.stdout.readline()
        form = {"token": link[1], "password": PASSWORD, "repeated": PASSWORD}
        with httpx.Client(base_url=server.url, timeout=60) as client:
            assert client.post("/console/link", data=form).status_code == 303
            with client.stream("GET", "/console/partners/demo/live/events") as response:
                lines = response.iter_lines()
                assert next(lines).startswith("retry")
                began = time.monotonic()
                server.process.terminate()
                assert not [line for line in lines if line.startswith("data")]
        assert server.process.wait(30) == 0
        assert time.monotonic() - began < 30
    finally:
        server.close()
