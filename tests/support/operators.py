"""Operators of the test database, and clients that are logged in."""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from lrs.admin import operators, sessions
from lrs.admin.operators import command_operator
from lrs.api.application import Application
from lrs.api.services import Services

PASSWORD = "correct horse battery"

_numbers = itertools.count()


def new_email() -> str:
    return f"operator-{next(_numbers)}-{os.getpid()}@example.com"


async def new_link(
    services: Services, role: str = "owner", partners: list[str] | None = None
) -> tuple[str, str]:
    """The email of a new operator, and the token of the one-time link."""
    email = new_email()
    link = await operators.add_operator(
        services.admin_database, command_operator(), email, role, partners
    )
    return email, link.token


async def operator_token(
    services: Services, role: str = "owner", partners: list[str] | None = None
) -> str:
    """A Bearer token of a new operator."""
    email, _ = await new_link(services, role, partners)
    issued = await sessions.issue_token(services.admin_database, command_operator(), email, days=1)
    return issued.token


async def operator_headers(
    services: Services, role: str = "owner", partners: list[str] | None = None
) -> dict[str, str]:
    return {"Authorization": f"Bearer {await operator_token(services, role, partners)}"}


@asynccontextmanager
async def browser(
    app: Application, base_url: str = "https://lrs.test", **headers: str
) -> AsyncIterator[httpx.AsyncClient]:
    """A client that keeps cookies."""
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url=base_url, headers=headers) as client:
        yield client
