"""Summaries of learning: computed for each reader, or stored and refreshed if that takes long."""

from __future__ import annotations

from lrs.api.services import Services
from lrs.projection import learning_summary
from lrs.projection.learning_summary import SummaryRefresh
from tests.support.learning_history import project_all
from tests.support.partners import Partner
from tests.support.statements import new_id, statement


async def complete_a_course(services: Services, partner: Partner) -> None:
    course = {"id": f"https://example.com/{new_id()}"}
    completed = {"id": "http://adlnet.gov/expapi/verbs/completed"}
    response = await partner.send(statement(verb=completed, object=course))
    assert response.status_code == 200
    await project_all(services, partner.partner_id)


async def completions(services: Services, partner: Partner, long_seconds: float) -> int:
    summary = await learning_summary.read(
        services.database.readers, partner.partner_id, "organization", long_seconds=long_seconds
    )
    return sum(row.completions for row in summary.rows)


async def test_short_summary_is_computed_for_each_reader(
    services: Services, partner: Partner
) -> None:
    for count in (1, 2):
        await complete_a_course(services, partner)
        assert await completions(services, partner, long_seconds=60.0) == count


async def test_long_summary_is_read_as_stored_until_its_refresh(
    services: Services, partner: Partner
) -> None:
    await complete_a_course(services, partner)
    assert await completions(services, partner, long_seconds=0.0) == 1
    await complete_a_course(services, partner)
    assert await completions(services, partner, long_seconds=0.0) == 1
    early = SummaryRefresh(services.database.readers, age_per_computation=1e9)
    await early.run_once()
    assert await completions(services, partner, long_seconds=0.0) == 1
    await SummaryRefresh(services.database.readers, age_per_computation=0.0).run_once()
    assert await completions(services, partner, long_seconds=0.0) == 2


async def test_unchanged_summary_is_refreshed_after_its_greatest_age_only(
    services: Services, partner: Partner
) -> None:
    await complete_a_course(services, partner)
    pool = services.database.readers
    stored = await learning_summary.read(pool, partner.partner_id, "week", long_seconds=0.0)
    stored = await learning_summary.read(pool, partner.partner_id, "week")
    for max_age, refreshed in ((600.0, False), (0.0, True)):
        refresh = SummaryRefresh(pool, age_per_computation=0.0, max_age_seconds=max_age)
        await refresh.run_once()
        read = await learning_summary.read(pool, partner.partner_id, "week")
        assert (read.computed_at > stored.computed_at) is refreshed
