"""Requests that list and change learners."""

from __future__ import annotations

from typing import Any

import httpx

from lrs.api.services import Services
from tests.support.partners import Partner
from tests.support.projection import rebuild, tables

Json = dict[str, Any]


async def request(
    operator: Partner, learner: str, action: str = "", body: Any = None, **params: str
) -> httpx.Response:
    method = "POST" if action else "DELETE"
    path = operator.url(f"learners/{learner}{f'/{action}' if action else ''}")
    content = {} if body is None else {"json": body}
    return await operator.http.request(
        method, path, headers=operator.headers, params=params, **content
    )


async def change(operator: Partner, *args: Any, **params: str) -> Json:
    """A change that is first previewed."""
    expected = await request(operator, *args, **params, preview="true")
    assert expected.status_code == 200, expected.text
    done = await request(operator, *args, **params)
    assert done.status_code == 200, done.text
    counts = ("identifiers", "events", "records", "memberships", "assignments")
    assert expected.json()["preview"] is True
    assert [expected.json()[name] for name in counts] == [done.json()[name] for name in counts]
    return dict(done.json())


async def records(operator: Partner, learner: str) -> set[str] | None:
    response = await operator.http.get(
        operator.url(f"learners/{learner}/records"), headers=operator.headers
    )
    if response.status_code == 404:
        return None
    return {item["activity_id"].rpartition("/")[2] for item in response.json()["records"]}


async def listed(operator: Partner, **params: str) -> list[Json]:
    response = await operator.http.get(
        operator.url("learners"), headers=operator.headers, params=params
    )
    assert response.status_code == 200, response.text
    return list(response.json()["learners"])


async def assert_rebuild_changes_nothing(services: Services, operator: Partner) -> None:
    async with services.database.readers.acquire() as connection:
        before = await tables(connection, operator)
        await rebuild(services, operator)
        after = await tables(connection, operator)
    for rows in (*before.values(), *after.values()):
        for row in rows:
            row.pop("updated_at", None)
    assert before == after
