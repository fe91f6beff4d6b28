"""Requests to the document resources."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import httpx

from tests.support.partners import Partner

AGENT = {"mbox": "mailto:learner@example.com"}
ACTIVITY = "http://example.com/course/1"
NONE_YET = {"If-None-Match": "*"}
JSON = {"Content-Type": "application/json"}
BINARY = bytes(range(256))


@dataclass
class Resource:
    """One of the three document resources, as used by one partner in one version."""

    path: str
    id_parameter: str
    scope: dict[str, str]
    version: str
    partner: Partner

    @property
    def is_state(self) -> bool:
        return self.id_parameter == "stateId"

    async def ask(
        self,
        method: str,
        document_id: str | None = "one",
        content: Any = None,
        headers: dict[str, str] | None = None,
        **parameters: Any,
    ) -> httpx.Response:
        named = {} if document_id is None else {self.id_parameter: document_id}
        response = await self.partner.http.request(
            method,
            self.path,
            params={**self.scope, **named, **parameters},
            content=json.dumps(content).encode() if isinstance(content, dict | list) else content,
            headers={
                "X-Experience-API-Version": self.version,
                **(JSON if isinstance(content, dict | list) else {}),
                **(headers or {}),
            },
            auth=(self.partner.key, self.partner.secret),
        )
        assert response.headers["X-Experience-API-Version"] == self.version
        return response

    async def store(self, content: Any, document_id: str = "one", **parameters: Any) -> str:
        """Stores a new document, and returns its ETag."""
        response = await self.ask("PUT", document_id, content, NONE_YET, **parameters)
        assert response.status_code == 204, response.text
        return response.headers["ETag"]

    async def content(self, document_id: str = "one", **parameters: Any) -> bytes:
        response = await self.ask("GET", document_id, **parameters)
        assert response.status_code == 200, response.text
        return response.content

    async def ids(self, **parameters: Any) -> list[str]:
        response = await self.ask("GET", None, **parameters)
        assert response.status_code == 200, response.text
        return response.json()


VERSIONS = {"1.0.3": "1.0.3", "2.0": "2.0.0"}
RESOURCES: dict[str, tuple[str, str, dict[str, str]]] = {
    "state": (
        "/xapi/activities/state",
        "stateId",
        {"activityId": ACTIVITY, "agent": json.dumps(AGENT)},
    ),
    "agent profile": ("/xapi/agents/profile", "profileId", {"agent": json.dumps(AGENT)}),
    "activity profile": ("/xapi/activities/profile", "profileId", {"activityId": ACTIVITY}),
}


def code(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["Content-Type"] == "application/problem+json"
    return response.status_code, response.json()["code"]
