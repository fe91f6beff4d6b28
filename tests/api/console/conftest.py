"""A partner with a stored and a refused item, a denied request, a learner and a content item."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import httpx
import pytest

from lrs.admin import sessions
from lrs.admin.operators import command_operator
from lrs.api.application import Application
from lrs.api.services import Services
from tests.support.forwarding import add_dead_letter
from tests.support.learner_records import content, learner, record
from tests.support.operators import browser, new_link, operator_headers
from tests.support.partners import Partner
from tests.support.statements import XAPI, new_id, statement

ACCOUNT = {"account": {"homePage": "https://hidden.example", "name": "emp-1815"}}
COURSE = "https://hidden.example/course"

Client = Callable[..., Awaitable[httpx.AsyncClient]]


@dataclass(frozen=True)
class Filled:
    """What the pages of a partner show."""

    partner: Partner
    statement_id: str
    refusal_id: str
    person_id: int
    email: str
    session_id: str
    document_key: str
    content_id: int

    @property
    def names(self) -> dict[str, str]:
        """The parameters in the paths of pages."""
        return {
            "partner": self.partner.name,
            "refusal": self.refusal_id,
            "statement": self.statement_id,
            "key": self.partner.key,
            "learner": str(self.person_id),
            "organization": "north",
            "tool": "quiz",
            "pipe": "pipe",
            "letter": self.statement_id,
            "email": self.email,
            "session": self.session_id,
            "document": self.document_key,
            "content": str(self.content_id),
        }


async def fill(services: Services, partner: Partner, owner: httpx.AsyncClient) -> Filled:
    """Sends and inserts one of each; `hidden.example` is in all that names a learner."""
    statement_id = new_id()
    actor = {"mbox": "mailto:ada@hidden.example", "name": "Ada"}
    await partner.send(statement(id=statement_id, actor=actor))
    await partner.send(statement(actor={"mbox": "ada@hidden.example"}))
    refusals = await owner.get(f"/v1/admin/partners/{partner.name}/refusals")
    person_id = await learner(services, partner, actor, ACCOUNT)
    parameters = {"stateId": "bookmark", "activityId": COURSE, "agent": json.dumps(ACCOUNT)}
    await partner.http.put(
        "/xapi/activities/state",
        params=parameters,
        json={"page": 7},
        headers=XAPI,
        auth=(partner.key, partner.secret),
    )
    view = await owner.get(f"/v1/admin/partners/{partner.name}/learners/{person_id}")
    (document,) = view.json()["documents"]
    course = await content(services, partner, COURSE, title="Course 1")
    await record(services, partner, person_id, course)
    tool = await owner.post(f"/v1/admin/partners/{partner.name}/tools", json={"name": "quiz"})
    assert tool.status_code == 201, tool.text
    email, _ = await new_link(services, "viewer", [partner.name])
    (link,) = await sessions.list_sessions(services.admin_database, command_operator(), email)
    refusal_id = refusals.json()["refusals"][0]["id"]
    await add_dead_letter(services, partner, statement_id)
    return Filled(
        partner,
        statement_id,
        refusal_id,
        person_id,
        email,
        link.session_id,
        document["document_key"],
        course,
    )


@pytest.fixture
async def client(app: Application, services: Services) -> AsyncIterator[Client]:
    """Makes a client with the token of a new operator: `client(role, partners)`."""
    contexts = []

    async def make(role: str = "owner", partners: list[str] | None = None) -> httpx.AsyncClient:
        context = browser(app, **await operator_headers(services, role, partners))
        contexts.append(context)
        return await context.__aenter__()

    yield make
    for context in contexts:
        await context.__aexit__(None, None, None)


@pytest.fixture
async def owner(client: Client) -> httpx.AsyncClient:
    return await client()


@pytest.fixture
async def filled(services: Services, partner: Partner, owner: httpx.AsyncClient) -> Filled:
    return await fill(services, partner, owner)
