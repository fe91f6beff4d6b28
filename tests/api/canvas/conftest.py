"""Fixtures of the Canvas tests."""

from __future__ import annotations

import pytest

from lrs.api.services import Services
from tests.support.canvas import Tool, new_tool
from tests.support.partners import Partner


@pytest.fixture
async def tool(services: Services, partner: Partner) -> Tool:
    return await new_tool(services, partner)
