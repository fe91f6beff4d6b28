"""Fixtures of the xAPI tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import asyncpg
import httpx
import pytest

from lrs.settings import Settings
from tests.support.pagination import Writers, another_server
from tests.support.partners import Partner


@pytest.fixture(scope="session")
async def second_http(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of another server on the same database."""
    async with another_server(settings) as client:
        yield client


@pytest.fixture
def writers(
    partner: Partner, second_http: httpx.AsyncClient, slow_writer: asyncpg.Connection
) -> Writers:
    return Writers(partner, [replace(partner, http=second_http)], slow_writer)
