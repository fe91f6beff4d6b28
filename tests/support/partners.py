"""A partner that sends and queries with its own credentials."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass, field
from typing import Any

import httpx

from lrs.api.services import Services
from lrs.auth import credentials, scopes
from lrs.store import registry
from tests.support.statements import JSON, XAPI

_numbers = itertools.count()


async def new_partner(
    services: Services, http: httpx.AsyncClient, granted: frozenset[str] = frozenset({scopes.ALL})
) -> Partner:
    database = services.database
    name = f"partner-{next(_numbers)}-{os.getpid()}"
    added = await registry.add_partner(database, name, "", f"https://{name}.example")
    issued = await credentials.add_credential(
        database, added, kind="client", label="tests", granted=granted, expires_at=None
    )
    partner = Partner(http, name, added.partner_id, added.home_page, issued.key, issued.secret)
    await partner.authenticate()
    return partner


@dataclass
class Partner:
    """A partner that sends and queries with its own credentials."""

    http: httpx.AsyncClient
    name: str
    partner_id: int
    home_page: str
    key: str
    secret: str
    token: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    async def authenticate(self, **form: str) -> str:
        response = await self.http.post(
            "/oauth2/token",
            data={"grant_type": "client_credentials", **form},
            auth=(self.key, self.secret),
        )
        assert response.status_code == 200, response.text
        self.token = response.json()["access_token"]
        self.headers = {"Authorization": f"Bearer {self.token}"}
        return self.token

    def url(self, resource: str, organization: str | None = None) -> str:
        within = f"/organizations/{organization}" if organization else ""
        return f"/v1/partners/{self.name}{within}/{resource}"

    async def send(
        self,
        body: Any,
        *,
        resource: str = "statements",
        organization: str | None = None,
        params: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        """POSTs JSON (or raw bytes) to a resource of the partner interface."""
        content = {"content": body} if isinstance(body, bytes) else {"json": body}
        return await self.http.post(
            self.url(resource, organization),
            params=params,
            headers={**JSON, **self.headers, **(headers or {})},
            **content,
        )

    async def get(
        self, organization: str | None = None, headers: dict[str, str] | None = None, **params: Any
    ) -> httpx.Response:
        """GETs statements on the partner interface."""
        return await self.http.get(
            self.url("statements", organization),
            params=params,
            headers={**self.headers, **(headers or {})},
        )

    async def all(self, **params: Any) -> list[dict[str, Any]]:
        """All statements of a list, page by page."""
        result: list[dict[str, Any]] = []
        response = await self.get(**params)
        while True:
            assert response.status_code == 200, response.text
            page = response.json()
            result += page["statements"]
            if not page.get("more"):
                return result
            response = await self.http.get(page["more"], headers=self.headers)

    async def xapi(self, body: Any, **headers: str) -> httpx.Response:
        """POSTs JSON (or raw bytes) to the xAPI interface with Basic credentials."""
        content = {"content": body} if isinstance(body, bytes) else {"json": body}
        return await self.http.post(
            "/xapi/statements",
            headers={**JSON, **XAPI, **headers},
            auth=(self.key, self.secret),
            **content,
        )
