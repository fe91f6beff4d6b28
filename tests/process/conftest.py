"""Fixtures of the process tests."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.senders import postgres
from tests.support.server_process import Server, run

AUTH: list[str] = []


@pytest.fixture
def data() -> Iterator[Path]:
    parent = Path(tempfile.mkdtemp(prefix="lrs-test-")).resolve()
    yield parent / "data"
    shutil.rmtree(parent)


@pytest.fixture(scope="session")
def partner_pattern() -> Iterator[Path]:
    """A data directory with a partner and its credential, of a stopped server."""
    parent = Path(tempfile.mkdtemp(prefix="lrs-test-")).resolve()
    server = Server(parent / "data", LRS_LOG_LEVEL="warning")
    data = ("--data-directory", str(parent / "data"))
    assert run("partner", "add", "acme", *data).returncode == 0
    AUTH[:] = run("credential", "add", "acme", *data).stdout.split()[1::2]
    server.close()
    yield parent / "data"
    shutil.rmtree(parent)


@pytest.fixture
def partner_data(partner_pattern: Path) -> Iterator[Path]:
    """A copy of that data directory."""
    parent = Path(tempfile.mkdtemp(prefix="lrs-test-")).resolve()
    shutil.copytree(partner_pattern, parent / "data")
    yield parent / "data"
    for process in postgres(parent / "data"):
        process.kill()
    shutil.rmtree(parent)


@pytest.fixture
def auth(partner_pattern: Path) -> tuple[str, str]:
    """The credential in the data directory."""
    key, secret = AUTH
    return key, secret
