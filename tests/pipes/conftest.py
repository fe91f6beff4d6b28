"""Fixtures of the tests of pipes."""

from __future__ import annotations

import pytest

from lrs.api.services import Services
from lrs.pipes.arrivals import Arrivals
from lrs.pipes.engine import Engine
from lrs.pipes.pull import Pull
from tests.support.pipes import engine


@pytest.fixture
async def pulling(services: Services) -> Engine:
    """An engine that pulls with the pipeline of the application."""
    arrivals = Arrivals(
        services.database,
        services.pipeline,
        services.ledger,
        services.limits.default,
        services.settings.max_xapi_statement_bytes,
    )
    return engine(services.database, {"pull": Pull(arrivals)})
