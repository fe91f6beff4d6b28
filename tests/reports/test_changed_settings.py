"""Changed settings of a partner, which apply to statements projected before by a rebuild only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date

import asyncpg
import pytest

from lrs.api.services import Services
from lrs.projection import lag
from lrs.projection.background_rebuilds import BackgroundRebuilds
from lrs.projection.lag import Backlog
from lrs.projection.projector import Projector
from lrs.projection.vocabulary import load_vocabulary
from lrs.store import partner_settings, registry
from lrs.store.postgres import Database, open_projector_database
from tests.support.learning_history import project_all
from tests.support.operators import operator_headers
from tests.support.partners import Partner
from tests.support.projection import rebuild, rows
from tests.support.statements import statement

LATE = "2026-05-08T23:30:00Z"


async def backlog(services: Services, partner: Partner) -> Backlog:
    (found,) = await lag.backlogs(services.database.readers, [partner.partner_id])
    return found


async def change_settings(services: Services, partner: Partner, **changes: object) -> None:
    changed = partner_settings.change(partner_settings.DEFAULTS, changes)
    await registry.set_partner_settings(services.database, partner.name, changed)


async def reports_need_rebuild(partner: Partner) -> bool:
    response = await partner.http.get(partner.url("reports"), headers=partner.headers)
    return bool(response.json()["rebuild_needed"])


@pytest.fixture
async def projector(services: Services, database_url: str) -> AsyncIterator[Projector]:
    @asynccontextmanager
    async def open_database() -> AsyncIterator[Database]:
        async with open_projector_database(database_url) as database:
            yield database

    vocabulary = load_vocabulary()
    rebuilds = BackgroundRebuilds(open_database, vocabulary)
    yield Projector(services.database, vocabulary, rebuilds=rebuilds)
    await rebuilds.close()


async def run_until_current(projector: Projector, services: Services, partner: Partner) -> None:
    async with asyncio.timeout(30):
        while (await backlog(services, partner)).settings_differ:
            await projector.run_once()
            await asyncio.sleep(0.01)


async def test_projector_rebuilds_a_partner_with_changed_settings(
    partner: Partner, services: Services, connection: asyncpg.Connection, projector: Projector
) -> None:
    await partner.send(statement(timestamp=LATE))
    await project_all(services, partner.partner_id)
    assert not (await backlog(services, partner)).needs_rebuild
    await change_settings(services, partner, time_zone="Europe/Berlin")
    assert (await backlog(services, partner)).needs_rebuild
    assert [row["day"] for row in await rows(connection, partner, "daily_fact")] == [
        date(2026, 5, 8)
    ]
    await run_until_current(projector, services, partner)
    assert [row["day"] for row in await rows(connection, partner, "daily_fact")] == [
        date(2026, 5, 9)
    ]
    assert not (await backlog(services, partner)).needs_rebuild


@pytest.mark.parametrize(
    "changes",
    [
        {"default_content_type": "none"},
        {"content_types_by_prefix": {"https://example.com/": "practice"}},
        {"language": "de"},
        {"organization_from_memberships": False},
        {"roll_up": False},
        {"time_zone": "Asia/Tokyo"},
    ],
)
async def test_changed_setting_needs_a_rebuild_until_it_is_changed_back(
    partner: Partner, services: Services, changes: dict[str, object]
) -> None:
    await partner.send(statement())
    await project_all(services, partner.partner_id)
    await change_settings(services, partner, **changes)
    assert (await backlog(services, partner)).settings_differ
    await change_settings(services, partner)
    assert not (await backlog(services, partner)).settings_differ
    await change_settings(services, partner, **changes)
    await rebuild(services, partner)
    assert not (await backlog(services, partner)).settings_differ


async def test_other_settings_need_no_rebuild(partner: Partner, services: Services) -> None:
    await partner.send(statement())
    await project_all(services, partner.partner_id)
    await change_settings(services, partner, keep_refused_items=False, silence_alarm_seconds=9)
    assert not (await backlog(services, partner)).needs_rebuild


async def test_settings_before_the_first_statement_need_no_rebuild(
    partner: Partner, services: Services
) -> None:
    await change_settings(services, partner, time_zone="Asia/Tokyo")
    await partner.send(statement())
    await project_all(services, partner.partner_id)
    assert not (await backlog(services, partner)).needs_rebuild


async def test_rebuild_is_skipped_if_another_server_has_applied_the_settings(
    partner: Partner, services: Services, connection: asyncpg.Connection, projector: Projector
) -> None:
    await partner.send(statement())
    await project_all(services, partner.partner_id)
    await change_settings(services, partner, time_zone="Asia/Tokyo")
    stale = await backlog(services, partner)
    await rebuild(services, partner)
    version = "select xmin::text from projection where partner_id = $1"
    before = await connection.fetchval(version, partner.partner_id)
    rebuilds = projector._rebuilds
    assert rebuilds
    rebuilds.start([stale])
    assert rebuilds._task
    async with asyncio.timeout(30):
        await rebuilds._task
    assert await connection.fetchval(version, partner.partner_id) == before


async def test_failed_rebuild_is_retried_after_the_backoff_only(
    partner: Partner, services: Services
) -> None:
    attempts = 0

    @asynccontextmanager
    async def open_database() -> AsyncIterator[Database]:
        nonlocal attempts
        attempts += 1
        raise OSError("unreachable")
        yield services.database

    await partner.send(statement())
    await project_all(services, partner.partner_id)
    await change_settings(services, partner, roll_up=False)
    rebuilds = BackgroundRebuilds(open_database, load_vocabulary())
    for _ in range(3):
        rebuilds.start([await backlog(services, partner)])
        assert rebuilds._task
        await asyncio.wait([rebuilds._task])
    assert attempts == 1


async def test_reports_and_admin_api_show_that_a_rebuild_is_needed(
    partner: Partner, services: Services
) -> None:
    await partner.send(statement())
    await project_all(services, partner.partner_id)
    headers = await operator_headers(services)
    url = f"/v1/admin/partners/{partner.name}"
    assert await reports_need_rebuild(partner) is False
    before = await partner.http.get(url, headers=headers)
    assert before.json()["rebuild_needed"] is False
    changed = await partner.http.patch(
        url,
        json={"settings": {"roll_up": False}},
        headers={**headers, "If-Match": before.headers["ETag"]},
    )
    assert changed.json()["rebuild_needed"] is True
    assert await reports_need_rebuild(partner) is True
    overview = await partner.http.get(f"/v1/admin/overview?partner={partner.name}", headers=headers)
    (arrivals,) = overview.json()["partners"]
    assert arrivals["rebuild_needed"] is True
    tag = changed.headers["ETag"]
    await rebuild(services, partner)
    again = await partner.http.get(url, headers=headers)
    assert (again.json()["rebuild_needed"], again.headers["ETag"]) == (False, tag)
