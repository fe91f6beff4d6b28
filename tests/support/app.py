"""Instances of the application, and the settings that all of them share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from lrs.app import create_app
from lrs.settings import Settings
from lrs.store.statements.page_query import PAGE_LIMITS, PageLimits

SECRET_KEY = "a secret key that only the tests know"


@asynccontextmanager
async def serving(
    settings: Settings, page_limits: PageLimits = PAGE_LIMITS
) -> AsyncIterator[httpx.AsyncClient]:
    """Another instance of the service, with settings of its own."""
    app = create_app(settings, page_limits)
    async with app.lifespan():
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://lrs.test") as client:
            yield client
