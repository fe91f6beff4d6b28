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
        answer = await self.partner.http.request(
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
        assert answer.headers["X-Experience-API-Version"] == self.version
        return answer

    async def store(self, content: Any, document_id: str = "one", **parameters: Any) -> str:
        """Stores a new document, and returns its ETag."""
        answer = await self.ask("PUT", document_id, content, NONE_YET, **parameters)
        assert answer.status_code == 204, answer.text
        return answer.headers["ETag"]

    async def content(self, document_id: str = "one", **parameters: Any) -> bytes:
        answer = await self.ask("GET", document_id, **parameters)
        assert answer.status_code == 200, answer.text
        return answer.content

    async def ids(self, **parameters: Any) -> list[str]:
        answer = await self.ask("GET", None, **parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()


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


def code(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["Content-Type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]
