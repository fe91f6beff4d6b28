"""The packages of the clients in JavaScript."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.clients import installed_packages


@pytest.fixture(scope="session")
def packages() -> Path:
    return installed_packages()
