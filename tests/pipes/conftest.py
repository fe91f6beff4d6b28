"""Fixtures of the tests of pipes."""

from __future__ import annotations

import pytest

from lrs.api.services import Services
from lrs.pipes.engine import Engine
from tests.support.pipes import pulling_engine


@pytest.fixture
async def pulling(services: Services) -> Engine:
    return pulling_engine(services)
