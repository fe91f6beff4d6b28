"""Several track events of one day, whose dates have no time."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from lrs.api.services import Services
from lrs.store import registry
from lrs.store.registry import LimitOverrides
from tests.support.partners import Partner

ORIGINAL = "urn:x-lrs:track-event"


async def track(partner: Partner, body: Any) -> httpx.Response:
    return await partner.send(body, resource="track")


def day_event(progress: int | None = None, **changes: Any) -> dict[str, Any]:
    return {
        "content_id": "ext-101-cloud-basics",
        "user": "john.doe@company.com",
        "status": "in_progress",
        "event_date": "2024-05-13T00:00:00Z",
        "completion_percentage": progress,
        **changes,
    }


async def test_further_event_of_a_day_is_stored_and_its_retry_is_a_duplicate(
    partner: Partner,
) -> None:
    ids = []
    for progress in (30, 60, 90):
        response = await track(partner, day_event(progress))
        assert response.status_code == 200, response.text
        ids.append(response.json()["id"])
    assert len(set(ids)) == 3
    for progress, statement_id in zip((60, 30, 90), (ids[1], ids[0], ids[2]), strict=True):
        response = await track(partner, day_event(float(progress), grade="A"))
        assert (response.status_code, response.json()["code"]) == (409, "duplicate")
        assert response.json()["id"] == statement_id
    stored = {item["id"]: item for item in await partner.all()}
    assert set(stored) == set(ids)
    assert stored[ids[1]]["context"]["extensions"][ORIGINAL] == day_event(60)


async def test_further_events_of_a_day_in_one_request_are_stored(partner: Partner) -> None:
    events = [
        day_event(30), day_event(60), day_event(60), day_event(duration_spent=5),
        day_event(30, status="started"), {**day_event(7), "user": ""},
    ]  # fmt: skip
    dry_run = await partner.send(events, resource="track", params={"validate": "true"})
    response = await track(partner, events)
    for answer in (dry_run, response):
        outcomes = [item["outcome"] for item in answer.json()["results"]]
        assert outcomes == ["stored", "stored", "duplicate", "stored", "stored", "invalid"]
    again = await track(partner, list(reversed(events)))
    outcomes = [item["outcome"] for item in again.json()["results"]]
    assert outcomes == ["invalid", *["duplicate"] * 5]
    assert len(await partner.all()) == 4


async def test_concurrent_further_events_of_a_day_are_stored_once(partner: Partner) -> None:
    sent = [day_event(progress) for progress in (10, 20, 30)] * 3
    responses = await asyncio.gather(*(track(partner, item) for item in sent))
    assert sorted(response.status_code for response in responses) == [200] * 3 + [409] * 6
    assert len(await partner.all()) == 3


async def test_further_event_of_another_offset_is_the_same_day_only_if_it_is_the_same_instant(
    partner: Partner,
) -> None:
    await track(partner, day_event(30, event_date="2024-05-13T00:00:00+02:00"))
    response = await track(partner, day_event(60, event_date="2024-05-12T22:00:00Z"))
    assert (response.status_code, response.json()["code"]) == (409, "statement-conflict")
    response = await track(partner, day_event(60, event_date="2024-05-13T00:00:00+02:00"))
    assert response.status_code == 200


async def test_further_event_of_a_day_counts_towards_the_quota(
    services: Services, partner: Partner
) -> None:
    await registry.set_partner_limits(
        services.database, partner.name, LimitOverrides(max_statements_per_day=2)
    )
    statuses = [(await track(partner, day_event(progress))).status_code for progress in (1, 2, 3)]
    assert statuses == [200, 200, 429]
    assert len(await partner.all()) == 2
