"""What tests say again and again, said once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx
import orjson

from lrs.app import create_app
from lrs.settings import Settings
from lrs.store.statements.insert import Prepared
from lrs.xapi import index_keys

JSON = {"Content-Type": "application/json"}
XAPI = {"X-Experience-API-Version": "1.0.3"}


def statement(**members: Any) -> dict[str, Any]:
    """A small valid statement, with members added or replaced."""
    return {
        "actor": {"mbox": "mailto:learner@example.com"},
        "verb": {"id": "http://adlnet.gov/expapi/verbs/completed"},
        "object": {"id": "http://example.com/course/1"},
    } | members


def new_id() -> str:
    return str(uuid4())


def prepared(each: dict[str, Any]) -> Prepared:
    """A statement with an id, ready for the store, past all checks."""
    target, keys = index_keys.statement_ref(each), index_keys.statement_keys(each)
    return Prepared(
        statement_id=each["id"],
        digest=each["id"].encode(),
        verb_key=index_keys.verb_key(each["verb"]["id"]),
        authority_key=0,
        actor_key=keys.actor,
        object_key=keys.object,
        organization=None,
        timed=False,
        body=orjson.dumps(each).decode()[:-1] + ",",
        links=tuple(keys.entries.items()),
        target=target,
        voids=target is not None and each["verb"]["id"] == index_keys.VOIDED,
    )


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """Another instance of the service, with settings of its own."""
    app = create_app(settings)
    async with app.lifespan():
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://lrs.test") as client:
            yield client


@dataclass
class Partner:
    """A partner as its own servers would be: it sends and asks with its credentials."""

    http: httpx.AsyncClient
    name: str
    partner_id: int
    home_page: str
    key: str
    secret: str
    token: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    async def authenticate(self, **form: str) -> str:
        answer = await self.http.post(
            "/oauth2/token",
            data={"grant_type": "client_credentials", **form},
            auth=(self.key, self.secret),
        )
        assert answer.status_code == 200, answer.text
        self.token = answer.json()["access_token"]
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
        """Every statement that a query finds, page after page."""
        found: list[dict[str, Any]] = []
        answer = await self.get(**params)
        while True:
            assert answer.status_code == 200, answer.text
            page = answer.json()
            found += page["statements"]
            if not page.get("more"):
                return found
            answer = await self.http.get(page["more"], headers=self.headers)

    async def xapi(self, body: Any, **headers: str) -> httpx.Response:
        """POSTs to the xAPI interface with Basic credentials."""
        return await self.http.post(
            "/xapi/statements",
            json=body,
            headers={**XAPI, **headers},
            auth=(self.key, self.secret),
        )


async def explained(
    connection: Any, sql: str, values: Sequence[str], options: str = ""
) -> list[dict[str, Any]]:
    """The nodes of the plan for a query with these values, given as SQL, if it is prepared."""
    await connection.execute(f"prepare explained as {sql}")
    try:
        arguments = f" ({', '.join(values)})" if values else ""
        text = await connection.fetchval(
            f"explain ({options}format json) execute explained{arguments}"
        )
    finally:
        await connection.execute("deallocate explained")
    return list(_nodes(orjson.loads(text)[0]["Plan"]))


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", []):
        yield from _nodes(inner)
