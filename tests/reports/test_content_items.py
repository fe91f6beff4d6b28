"""Content items: list, delete, restore."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from click.testing import Result

from lrs.api.services import Services
from lrs.auth import scopes
from lrs.cli import tables
from tests.support.learner_records import content
from tests.support.learning_history import project_all
from tests.support.partners import Partner, new_partner
from tests.support.statements import statement

Json = dict[str, Any]

COURSE = "http://datacamp.com/course/123"
DEFINITION = {"type": "http://datacamp.com/course", "name": {"en": "Python"}}


@pytest.fixture
async def operator(services: Services, http: httpx.AsyncClient) -> Partner:
    """A partner with an admin credential."""
    return await new_partner(services, http, frozenset({scopes.ADMIN}))


async def ask(operator: Partner, method: str, path: str, **params: str) -> httpx.Response:
    return await operator.http.request(
        method, operator.url(path), params=params, headers=operator.headers
    )


def path(name: str, action: str = "") -> str:
    return f"contents/{quote(name, safe='')}{action}"


async def listed(operator: Partner, **params: str) -> list[str]:
    response = await ask(operator, "GET", "contents", **params)
    assert response.status_code == 200, response.text
    return [item["activity_id"] for item in response.json()["contents"]]


async def fact_ids(services: Services, operator: Partner) -> list[int]:
    response = await ask(operator, "GET", "reports/course_fact.json")
    assert response.status_code == 200, response.text
    return [row["course_id"] for row in response.json()["rows"]]


async def changed_at(services: Services, operator: Partner) -> datetime:
    return await services.database.readers.fetchval(
        "select max(changed_at) from changed_day where partner_id = $1", operator.partner_id
    )


@pytest.mark.slow
async def test_facts_of_a_deleted_course_have_id_minus_one(
    services: Services, operator: Partner
) -> None:
    sent = statement(object={"id": COURSE, "definition": DEFINITION})
    assert (await operator.send(sent)).status_code == 200
    await project_all(services, operator.partner_id)
    (course,) = await fact_ids(services, operator)
    assert course > 0
    before = await changed_at(services, operator)
    for _ in range(2):
        assert (await ask(operator, "DELETE", path(COURSE))).status_code == 204
        assert await fact_ids(services, operator) == [-1]
    deleted = await changed_at(services, operator)
    assert deleted > before
    # Later statements do not restore it.
    assert (await operator.send(sent | {"timestamp": "2026-05-08T12:00:00Z"})).status_code == 200
    await project_all(services, operator.partner_id)
    assert set(await fact_ids(services, operator)) == {-1}
    assert (await ask(operator, "POST", path(COURSE, "/restore"))).status_code == 204
    assert set(await fact_ids(services, operator)) == {course}
    assert await changed_at(services, operator) > deleted


async def test_content_items_are_listed_with_their_attributes(
    services: Services, operator: Partner
) -> None:
    first = await content(services, operator, COURSE, type="course", title="Python")
    await content(services, operator, f"{operator.home_page}/contents/ext-101")
    assert (await ask(operator, "DELETE", path("ext-101"))).status_code == 204
    actual = (await ask(operator, "GET", "contents")).json()["contents"]
    assert actual[0] == {
        "content_id": first,
        "activity_id": COURSE,
        "type": "course",
        "title": "Python",
        "deleted_at": None,
        "alias_of": None,
    }
    assert actual[1]["deleted_at"] is not None
    assert await listed(operator, deleted="false") == [COURSE]
    assert await listed(operator, deleted="true") == [f"{operator.home_page}/contents/ext-101"]


async def test_pagination_of_content_items_lists_each_item_once(
    services: Services, operator: Partner
) -> None:
    expected = [f"http://example.com/{number}" for number in range(5)]
    for item in expected:
        await content(services, operator, item)
    actual, response = [], await ask(operator, "GET", "contents", limit="2", deleted="false")
    while True:
        actual += [item["activity_id"] for item in response.json()["contents"]]
        if not response.json()["more"]:
            break
        response = await operator.http.get(response.json()["more"], headers=operator.headers)
    assert actual == expected


@pytest.mark.parametrize("method", ["DELETE", "POST"])
@pytest.mark.parametrize("name", ["http://example.com/none", "\0", "id:2147483647"])
async def test_unknown_content_item_returns_404(operator: Partner, method: str, name: str) -> None:
    response = await ask(operator, method, path(name, "/restore" if method == "POST" else ""))
    assert (response.status_code, response.json()["code"]) == (404, "not-found")


async def test_content_items_without_admin_scope_return_403(partner: Partner) -> None:
    for method, where in (
        ("GET", "contents"),
        ("DELETE", path(COURSE)),
        ("POST", path(COURSE, "/restore")),
    ):
        response = await ask(partner, method, where)
        assert (response.status_code, response.json()["code"]) == (403, "missing-scope")


async def test_contents_command_lists_deletes_and_restores(
    services: Services, operator: Partner, run: Callable[..., Result]
) -> None:
    await content(services, operator, COURSE, type="course", title="Python")

    async def command(*arguments: str) -> Result:
        return await asyncio.to_thread(run, "content", *arguments)

    assert "\tcourse\tactive\tPython" in (await command("list", operator.name)).stdout
    assert (await command("delete", operator.name, COURSE)).stdout == f"deleted {COURSE}\n"
    assert "\tcourse\tdeleted 20" in (await command("list", operator.name)).stdout
    assert (await command("restore", operator.name, COURSE)).exit_code == 0
    failed = await command("delete", operator.name, "http://example.com/none")
    assert failed.exit_code == 1
    assert failed.stderr == "lrs: Content item not found.\n"


async def test_closed_pipe_ends_the_list_without_an_error(
    services: Services,
    operator: Partner,
    run: Callable[..., Result],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await content(services, operator, COURSE)

    def stop(*_: object) -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr(tables, "echo", stop)
    result = await asyncio.to_thread(run, "content", "list", operator.name)
    assert result.stderr == ""
