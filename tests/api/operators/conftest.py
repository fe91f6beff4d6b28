"""Clients of operators with different roles."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest

from lrs.api.application import Application
from lrs.api.services import Services
from tests.support.operators import browser, operator_headers

Admin = Callable[..., Awaitable[httpx.AsyncClient]]


@pytest.fixture
async def admin(app: Application, services: Services) -> AsyncIterator[Admin]:
    """Makes a client with the token of a new operator: `admin(role, partners)`."""
    clients = []

    async def make(role: str = "owner", partners: list[str] | None = None) -> httpx.AsyncClient:
        headers = await operator_headers(services, role, partners)
        context = browser(app, **headers)
        clients.append(context)
        return await context.__aenter__()

    yield make
    for context in clients:
        await context.__aexit__(None, None, None)


@pytest.fixture
async def owner(admin: Admin) -> httpx.AsyncClient:
    """A client with the token of an owner of all partners."""
    return await admin()
