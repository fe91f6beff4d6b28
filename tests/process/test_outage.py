"""The embedded PostgreSQL ends, hangs or has no room: recovery, readiness, shutdown, log."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from lrs import embedded_postgres
from lrs.embedded_postgres import Supervision, running
from lrs.embedded_postgres.cluster import max_wal_megabytes
from tests.support.senders import Senders, postgres, stored
from tests.support.server_process import Server
from tests.support.statements import XAPI, statement


def postmaster(data: Path) -> int:
    return int((data / "postgres" / "postmaster.pid").read_text().split()[0])


def wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.02)


def post(server: Server, auth: tuple[str, str]) -> httpx.Response:
    return httpx.post(
        f"{server.url}/xapi/statements", json=statement(), auth=auth, headers=XAPI, timeout=20
    )


def records(server: Server) -> list[dict[str, Any]]:
    return [json.loads(line) for line in server.said().splitlines()]


def test_killed_postgres_is_restarted(partner_data: Path, auth: tuple[str, str]) -> None:
    server = Server(partner_data, LRS_LOG_LEVEL="warning", LRS_PROJECTION_ENABLED="on")
    try:
        senders = Senders(server.url, auth)
        try:
            senders.wait_for(60)
            os.kill(postmaster(partner_data), signal.SIGKILL)
            wait_for(lambda: httpx.get(f"{server.url}/readyz").status_code == 503, 2)
            assert httpx.get(f"{server.url}/healthz").status_code == 200
            wait_for(lambda: "is running again" in server.said())
            senders.wait_for(60)
            wait_for(lambda: httpx.get(f"{server.url}/readyz").status_code == 200, 3)
        finally:
            senders.end()
        assert set(senders.acknowledged) <= set(stored(server.url, auth)) <= senders.sent
        # Six clients that retry at once fail hundreds of times.
        messages = [record["message"] for record in records(server)]
        assert sum(message.startswith("PostgreSQL ended (signal 9") for message in messages) == 1
        assert len(messages) < 25, messages
        assert "Traceback" not in server.said()
        assert server.stop() == 0
    finally:
        server.close()
    assert not postgres(partner_data)


def test_hanging_database_delays_neither_responses_nor_shutdown(
    partner_data: Path, auth: tuple[str, str]
) -> None:
    server = Server(
        partner_data,
        "--workers",
        "2",
        LRS_LOG_LEVEL="warning",
        LRS_DATABASE_TIMEOUT_SECONDS="2",
        LRS_SHUTDOWN_TIMEOUT_SECONDS="1",
    )
    try:
        assert post(server, auth).status_code == 200
        for process in postgres(partner_data):
            process.suspend()
        statuses: list[tuple[int, float]] = []

        def send() -> None:
            began = time.monotonic()
            statuses.append((post(server, auth).status_code, time.monotonic() - began))

        threads = [threading.Thread(target=send) for _ in range(6)]
        for thread in threads:
            thread.start()
        with httpx.Client(timeout=20) as client:
            began = time.monotonic()
            response = client.get(f"{server.url}/readyz")
            assert time.monotonic() - began < 2
        assert (response.status_code, response.json()["checks"]["database"]) == (503, "no answer")
        for thread in threads:
            thread.join()
        assert {status for status, _ in statuses} == {503}
        assert max(seconds for _, seconds in statuses) < 6
        # A request that is still running is cut off.
        cut = threading.Thread(target=send)
        cut.start()
        time.sleep(0.2)
        began = time.monotonic()
        assert server.stop() == 1, server.said()
        assert time.monotonic() - began < 12
        cut.join()
        assert statuses[-1][0] == 503
    finally:
        server.close()
    assert not postgres(partner_data)


def connects(dsn: str) -> bool:
    programs = embedded_postgres.find_programs(embedded_postgres.postgres_account(Path("/")))
    command = [programs / "psql", "-XqAt", "-c", "select 1", dsn]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


FAST = {"min_delay": 0.05, "max_delay": 0.1}


def test_restart_is_retried_until_its_cause_is_removed(
    partner_data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    control, away = partner_data / "postgres/global/pg_control", partner_data / "pg_control"
    with running(partner_data, supervision=Supervision(**FAST)) as dsn:
        killed = postmaster(partner_data)
        control.rename(away)
        os.kill(killed, signal.SIGKILL)
        wait_for(lambda: caplog.text.count("PostgreSQL cannot be started") >= 2)
        away.rename(control)
        wait_for(lambda: "PostgreSQL is running again" in caplog.text)
        assert connects(dsn)
        assert postmaster(partner_data) != killed
    assert not postgres(partner_data)
    assert "PostgreSQL ended (signal 9, SIGKILL)" in caplog.text


def test_postgres_that_cannot_be_started_is_given_up(
    partner_data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    failed = threading.Event()
    supervision = Supervision(on_failure=failed.set, give_up_seconds=0.3, **FAST)
    with running(partner_data, supervision=supervision):
        (partner_data / "postgres/global/pg_control").unlink()
        os.kill(postmaster(partner_data), signal.SIGKILL)
        assert failed.wait(10)
    assert "PostgreSQL could not be started for" in caplog.text


def test_server_recovers_from_a_full_disk(partner_data: Path, auth: tuple[str, str]) -> None:
    data = partner_data.parent / "small"
    data.mkdir()
    mount: list[str | Path] = ["mount", "-t", "tmpfs", "-o", "size=150m,mode=700", "tmpfs", data]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        subprocess.run(["cp", "-a", *partner_data.iterdir(), data], check=True)
        assert max_wal_megabytes(data) == 32
        server = Server(data, LRS_LOG_LEVEL="warning")
        try:
            assert post(server, auth).status_code == 200
            rest = data / "rest"
            with rest.open("wb", buffering=0) as full, suppress(OSError):
                while full.write(bytes(65_536)):
                    pass
            batch = [statement() for _ in range(300)]
            status = 200
            for _ in range(10):
                if status == 200:
                    status = httpx.post(
                        f"{server.url}/xapi/statements",
                        json=batch,
                        auth=auth,
                        headers=XAPI,
                        timeout=20,
                    ).status_code
            assert status == 503
            time.sleep(1)
            response = httpx.get(f"{server.url}/readyz", timeout=20)
            assert response.status_code == 503
            rest.unlink()
            wait_for(lambda: post(server, auth).status_code == 200, 15)
            wait_for(lambda: httpx.get(f"{server.url}/readyz").status_code == 200, 3)
        finally:
            server.close()
    finally:
        subprocess.run(["umount", data], check=True)
