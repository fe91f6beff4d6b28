"""Any order of statements, imports, catalogs and changes of learners: a rebuild changes nothing."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from lrs.api.services import Services
from tests.support.learner_changes import assert_rebuild_changes_nothing, listed, request
from tests.support.learning_history import project_all
from tests.support.partners import Partner
from tests.support.people_import import (
    GROUP,
    TEAM,
    identifier,
    membership,
    post,
    user,
)
from tests.support.projection import voiding
from tests.support.statements import new_id, statement

ADDRESSES = [f"{local}@example.com" for local in ("ada", "Ada", "ADA", "ben", "Ben", "cyd")]
USERS = ["u1", "u2", "u3"]
CONTENTS = [f"http://example.com/{name}" for name in "abcde"]
VERBS = ["launched", "completed", "passed", "registered", "progressed"]

pytestmark = pytest.mark.slow


class History:
    """Random operations on one partner; each may be refused, none may fail."""

    def __init__(self, services: Services, operator: Partner, seed: int) -> None:
        self._services = services
        self._operator = operator
        self._chance = random.Random(seed)
        self._sent: list[dict[str, Any]] = []

    async def step(self) -> None:
        operations: list[Callable[[], Awaitable[None]]] = [
            self._send, self._send, self._send, self._void, self._import, self._catalog,
            self._change, self._change,
        ]  # fmt: skip
        await self._chance.choice(operations)()
        if self._chance.random() < 0.6:
            await project_all(self._services, self._operator.partner_id)

    async def _send(self) -> None:
        pick = self._chance.choice
        for _ in range(self._chance.randint(1, 5)):
            sent = statement(
                id=new_id(),
                actor={"mbox": f"mailto:{pick(ADDRESSES)}"},
                verb={"id": f"http://adlnet.gov/expapi/verbs/{pick(VERBS)}"},
                object={"id": pick(CONTENTS)},
                result={"duration": f"PT{self._chance.randint(1, 600)}S"},
                context={
                    "contextActivities": {"parent": [{"id": pick(CONTENTS)}]}
                } if self._chance.random() < 0.3 else {},
                timestamp=f"2026-01-0{self._chance.randint(1, 9)}T12:00:00Z",
            )  # fmt: skip
            response = await self._operator.send(sent, organization=pick([None, "north"]))
            assert response.status_code == 200, response.text
            self._sent.append(sent)

    async def _void(self) -> None:
        if self._sent:
            response = await self._operator.send(voiding(self._chance.choice(self._sent)))
            assert response.status_code in (200, 400, 409), response.text

    async def _import(self) -> None:
        pick = self._chance.choice
        rows = [GROUP, TEAM, *map(user, USERS)]
        rows += [user(pick(USERS), email=pick(ADDRESSES))] if self._chance.random() < 0.7 else []
        rows += [identifier(pick(USERS), "mbox", pick(ADDRESSES))]
        day = f"2026-01-0{self._chance.randint(1, 9)}"
        rows += [membership(pick(USERS), day, organization="north")]
        response = await post(self._operator, rows, merge=pick(["true", "false"]))
        assert response.status_code in (200, 400), response.text

    async def _catalog(self) -> None:
        pick = self._chance.choice
        course, chapter, track = self._chance.sample(CONTENTS, 3)
        rows: list[dict[str, Any]] = [
            {"type": pick(["course", "practice"]), "content": course, "title": pick("XY")},
            {"type": "chapter", "content": chapter, "course": pick([course, None])},
            {"type": "track", "content": track},
            {"type": "track_content", "track": track, "content": course},
        ]
        response = await self._operator.http.post(
            self._operator.url("contents/imports"), json=rows, headers=self._operator.headers
        )
        assert response.status_code in (200, 400), response.text

    async def _change(self) -> None:
        pick = self._chance.choice
        learners = [*await listed(self._operator), *await listed(self._operator, deleted="true")]
        if not learners:
            return
        one, other = (f"id:{pick(learners)['user_id']}" for _ in range(2))
        action, body = pick(
            [
                ("merge", {"into": other}),
                ("detach", {"identifier": pick(ADDRESSES)}),
                ("rename", {"user": pick([*USERS, "u4"])}),
                ("restore", None),
                ("", None),
            ]
        )
        response = await request(self._operator, one, action, body)
        assert response.status_code in (200, 400, 404, 409), response.text


@pytest.mark.parametrize("seed", range(3))
async def test_rebuild_changes_nothing_after_any_changes(
    services: Services, operator: Partner, seed: int
) -> None:
    history = History(services, operator, seed)
    for _ in range(25):
        await history.step()
    await project_all(services, operator.partner_id)
    await assert_rebuild_changes_nothing(services, operator)
