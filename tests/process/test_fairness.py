"""A partner's requests while another partner, another address or a reporting role attacks.

`make bench ARGS="--only fairness"` measures all attacks, and their effect on latency.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.fairness import measure, partners, victim
from scripts.fairness.measure import Opponents
from tests.support.server_process import Server, run

SECONDS = 0.8
TIMEOUT_SECONDS = 5.0

ATTACKS = (
    "declared-length",
    "half-open",
    "login-flood",
    "many-uploads",
    "many-items",
    "references",
    "batch-flood",
    "many-activities",
    "unread-responses",
    "role-advisory-locks",
)


@pytest.fixture
def opponents(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opponents]:
    folder: Path = tmp_path_factory.mktemp("fairness")
    folder.chmod(0o755)
    folder.parent.chmod(0o755)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    settings = {
        "LRS_REPORTS_ADDRESS": address,
        "LRS_LOG_LEVEL": "warning",
        "LRS_PROJECTION_ENABLED": "on",
    }
    server = Server(folder / "data", **settings)
    try:

        def command(*arguments: str) -> str:
            return run(*arguments, LRS_DATA_DIRECTORY=str(folder / "data"), **settings).stdout

        client, target = partners.add(command, server.url)
        yield Opponents(client, target, server.process.pid)
    finally:
        server.close()


@pytest.mark.slow
def test_attacks_do_not_fail_requests_of_another_partner(
    opponents: Opponents, subtests: pytest.Subtests
) -> None:
    for attack in ATTACKS:
        with subtests.test(attack):
            check_victim(opponents, attack)


def check_victim(opponents: Opponents, attack: str) -> None:
    with (
        measure.peak_memory(opponents.pid) as memory,
        measure.running(attack, opponents.target) as process,
    ):
        report = asyncio.run(victim.run(opponents.client, SECONDS))
        assert process.poll() is None
    assert report.failures == 0, report.statuses
    assert report.unready == 0
    assert max(report.latencies) < TIMEOUT_SECONDS
    assert memory.peak_mb < measure.MAX_RSS_MB
