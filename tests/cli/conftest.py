"""Fixtures of the command tests."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result

from lrs.cli import main
from tests.support.app import SECRET_KEY
from tests.support.cli import Lrs, new_name


@pytest.fixture
def lrs(database_url: str) -> Iterator[Lrs]:
    """Runs a command on the test database, in this process."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    environment: dict[str, str | None] = {
        name: None for name in os.environ if name.startswith("LRS_")
    }
    environment |= {"LRS_DATABASE_URL": database_url, "LRS_SECRET_KEY": SECRET_KEY}
    environment["LRS_PUBLIC_URL"] = "https://lrs.example"

    def run(*arguments: str, **more: str) -> Result:
        return CliRunner().invoke(main.main, arguments, env=environment | more)

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def name(lrs: Lrs) -> str:
    name = new_name()
    assert lrs("partner", "add", name).exit_code == 0
    return name
