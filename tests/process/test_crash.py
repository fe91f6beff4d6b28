"""Killed processes lose no acknowledged statement."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import time
from base64 import b64encode
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path

import asyncpg
import psutil
import pytest

from lrs import embedded_postgres
from tests.support.files import ROOT
from tests.support.senders import Senders, postgres, stored
from tests.support.server_process import BARE, LRS, Server


@pytest.fixture
def data(partner_data: Path) -> Path:
    return partner_data


def workers(server: Server) -> list[psutil.Process]:
    result = []
    for child in psutil.Process(server.process.pid).children():
        with suppress(psutil.Error):
            if "spawn_main" in " ".join(child.cmdline()):
                result.append(child)
    return result


def kept(data: Path) -> Counter[str]:
    """The statements in the database of a stopped server."""

    async def fetch(dsn: str) -> Counter[str]:
        connection = await asyncpg.connect(dsn)
        rows = await connection.fetch("select statement_id from statement")
        await connection.close()
        return Counter(str(row["statement_id"]) for row in rows)

    with embedded_postgres.running(data) as dsn:
        return asyncio.run(fetch(dsn))


def wait_for_exact_counts(data: Path) -> None:
    """Waits until the ledger counts every statement that is stored, and no other."""

    async def fetch() -> tuple[int, int]:
        connection = await asyncpg.connect(embedded_postgres.find_dsn(data))
        try:
            row = await connection.fetchrow(
                "select (select count(*) from statement) as stored,"
                " (select sum(items) from intake_count where outcome = 'stored') as counted"
            )
        finally:
            await connection.close()
        return row["stored"], int(row["counted"] or 0)

    give_up = time.monotonic() + 30
    while (numbers := asyncio.run(fetch())) != (numbers[0], numbers[0]):
        assert time.monotonic() < give_up, numbers
        time.sleep(0.1)


def test_killed_processes_lose_no_acknowledged_statement(data: Path, auth: tuple[str, str]) -> None:
    whole = {"LRS_LOG_LEVEL": "warning", "LRS_PROJECTION_ENABLED": "on"}
    server = Server(data, "--workers", "2", **whole)
    try:
        senders = Senders(server.url, auth)
        try:
            senders.wait_for(100)
            # A killed worker is replaced, and the other continues.
            victim = workers(server)[0]
            victim.kill()
            senders.wait_for(200)
            give_up = time.monotonic() + 10
            while len([w for w in workers(server) if w.pid != victim.pid]) < 2:
                assert time.monotonic() < give_up
                time.sleep(0.02)
            senders.wait_for(100)
            # All processes are killed, the database first.
            children = workers(server)
            for process in [*postgres(data), psutil.Process(server.process.pid), *children]:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            server.process.wait()
        finally:
            senders.end()
    finally:
        server.close()
    assert len(senders.acknowledged) == len(set(senders.acknowledged)) > 400
    server = Server(data, LRS_LOG_LEVEL="warning")
    try:
        result = stored(server.url, auth)
        wait_for_exact_counts(data)
    finally:
        server.close()
    assert set(result.values()) == {1}
    assert set(senders.acknowledged) <= set(result) <= senders.sent
    assert not postgres(data)


@pytest.mark.skipif(sys.platform != "linux", reason="one socket for all elsewhere")
def test_simultaneous_connections_are_balanced_over_workers(data: Path) -> None:
    server = Server(data, "--workers", "2", LRS_LOG_LEVEL="warning")
    address = ("127.0.0.1", int(server.url.rpartition(":")[2]))

    def counts(status: str, ports: set[int]) -> list[int]:
        """How many connections each worker has, with these ports at the other end."""
        return [
            sum(
                item.status == status and (item.raddr.port if item.raddr else 0) in ports
                for item in worker.net_connections("tcp")
            )
            for worker in workers(server)
        ]

    def wait_for(total: int, status: str, ports: set[int]) -> list[int]:
        give_up = time.monotonic() + 10
        while sum(result := counts(status, ports)) < total:
            assert time.monotonic() < give_up
            time.sleep(0.02)
        return result

    try:
        assert wait_for(32, psutil.CONN_LISTEN, {0}) == [16, 16]
        with ExitStack() as opened:
            clients = [opened.enter_context(socket.create_connection(address)) for _ in range(64)]
            ports = {client.getsockname()[1] for client in clients}
            assert min(wait_for(64, psutil.CONN_ESTABLISHED, ports)) >= 8
    finally:
        server.close()


def test_workers_exit_with_their_parent(data: Path) -> None:
    server = Server(data, "--workers", "2", LRS_LOG_LEVEL="warning")
    try:
        children = workers(server)
        assert len(children) == 2
        server.process.kill()
        server.process.wait()
        _, alive = psutil.wait_procs(children, timeout=5)
        assert alive == []
        # The port and the data directory are free again.
        port = server.url.rpartition(":")[2]
        again = Server(data, "--port", port, LRS_LOG_LEVEL="warning")
        again.close()
        assert again.url == server.url
        assert not postgres(data)
    finally:
        server.close()


def test_metrics_of_a_killed_server_are_removed(data: Path) -> None:
    def served() -> Server:
        environment = {"TMPDIR": str(data.parent), "LRS_LOG_LEVEL": "warning"}
        return Server(data, "--workers", "2", **environment)

    killed = served()
    (left,) = data.parent.glob("lrs-metrics-*")
    killed.process.kill()
    killed.process.wait()
    killed.close()
    server = served()
    try:
        (own,) = data.parent.glob("lrs-metrics-*")
        assert own != left
    finally:
        server.close()
    assert not list(data.parent.glob("lrs-metrics-*"))


@pytest.mark.parametrize(("number", "count"), [(signal.SIGINT, "1"), (signal.SIGTERM, "2")])
def test_graceful_shutdown_finishes_accepted_requests(
    data: Path, auth: tuple[str, str], number: int, count: str
) -> None:
    server = Server(data, "--workers", count, LRS_LOG_LEVEL="warning")
    try:
        senders = Senders(server.url, auth)
        try:
            senders.wait_for(60)
            assert server.stop(number) == 0, server.said()
        finally:
            senders.end()
    finally:
        server.close()
    assert not postgres(data)
    assert "Traceback" not in server.said()
    result = kept(data)
    # Every stored statement is acknowledged: no accepted request lost its response.
    assert Counter(senders.acknowledged) == result


def test_unfinished_request_is_aborted_after_the_shutdown_timeout(
    data: Path, auth: tuple[str, str]
) -> None:
    server = Server(data, LRS_LOG_LEVEL="warning", LRS_SHUTDOWN_TIMEOUT_SECONDS="1")
    host, port = server.url.removeprefix("http://").split(":")
    try:
        with socket.create_connection((host, int(port))) as stalled:
            header = b64encode(":".join(auth).encode()).decode()
            stalled.sendall(
                b"POST /xapi/statements HTTP/1.1\r\nHost: x\r\nContent-Length: 999\r\n"
                b"Content-Type: application/json\r\nX-Experience-API-Version: 1.0.3\r\n"
                + f"Authorization: Basic {header}\r\n\r\n[".encode()
            )
            time.sleep(0.2)
            began = time.monotonic()
            assert server.stop() == 0, server.said()
            assert time.monotonic() - began < 5
    finally:
        server.close()
    assert not postgres(data)


def test_second_signal_stops_server_and_database(data: Path) -> None:
    server = Server(data, LRS_LOG_LEVEL="warning")
    try:
        give_up = time.monotonic() + 10
        while server.process.poll() is None:
            assert time.monotonic() < give_up
            server.process.send_signal(signal.SIGINT)
            time.sleep(0.01)
        assert not postgres(data)
    finally:
        server.close()


def test_server_stopped_during_start_leaves_no_processes(data: Path) -> None:
    command = [*LRS, "serve", "--port", "0", "--data-directory", str(data)]
    with subprocess.Popen(
        command, cwd=ROOT, env=BARE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        give_up = time.monotonic() + 10
        while not postgres(data):
            assert time.monotonic() < give_up
            time.sleep(0.005)
        process.terminate()
        _, message = process.communicate(timeout=20)
        assert process.returncode == 0, message
    assert not postgres(data)
    assert b"Traceback" not in message
