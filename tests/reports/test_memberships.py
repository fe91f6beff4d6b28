"""People import: memberships and assignments."""

from __future__ import annotations

from datetime import date

from lrs.api.services import Services
from tests.support.learning_history import project_all
from tests.support.partners import Partner
from tests.support.people_import import (
    ADA,
    COURSE,
    GROUP,
    TEAM,
    complete_content,
    import_rows,
    membership,
    outcomes,
    refused,
    user,
)
from tests.support.statements import statement

# Memberships


async def test_overlapping_memberships_of_a_group_are_refused(operator: Partner) -> None:
    await import_rows(
        operator, user("ada"), GROUP, membership("ada", "2026-01-01", organization="north")
    )
    rejoined = membership("ada", "2026-01-04", organization="north")
    (violation,) = await refused(operator, rejoined)
    assert violation == (
        0,
        "/from",
        "expected no overlap with the same user's membership from 2026-01-01 without an end",
    )
    left = membership("ada", "2026-01-01", "2026-01-03", organization="north")
    assert outcomes(await import_rows(operator, rejoined, left)) == ["added", "changed"]
    within = membership("ada", "2025-12-01", "2026-01-02", organization="north")
    assert len(await refused(operator, within)) == 1


async def test_membership_without_days_is_removed(operator: Partner) -> None:
    joined = membership("ada", "2026-01-01", team="analytics")
    await import_rows(operator, user("ada"), TEAM, joined)
    nothing = joined | {"to": joined["from"]}
    assert outcomes(await import_rows(operator, nothing)) == ["removed"]
    assert outcomes(await import_rows(operator, nothing)) == ["unchanged"]
    assert outcomes(await import_rows(operator, joined)) == ["added"]


async def days(services: Services, operator: Partner) -> list[date]:
    actual = await services.database.readers.fetch(
        "select day from daily_fact where partner_id = $1 order by day", operator.partner_id
    )
    return [row["day"] for row in actual]


async def test_facts_are_limited_to_days_of_membership(
    services: Services, operator: Partner
) -> None:
    """The example in the vendor's documentation."""
    for day in (2, 3, 5):
        sent = statement(actor={"mbox": f"mailto:{ADA}"}, timestamp=f"2026-01-0{day}T12:00:00Z")
        assert (await operator.send(sent, organization="north")).status_code == 200
    await project_all(services, operator.partner_id)
    assert len(await days(services, operator)) == 3
    joined = membership("ada", "2026-01-01", "2026-01-03", organization="north")
    rejoined = membership("ada", "2026-01-04", organization="north")
    await import_rows(operator, user("ada", email=ADA), joined, rejoined)
    assert await days(services, operator) == [date(2026, 1, 2), date(2026, 1, 5)]
    await import_rows(operator, *(item | {"to": item["from"]} for item in (joined, rejoined)))
    assert len(await days(services, operator)) == 3


# Assignments


async def test_assignment_of_content_without_activity_is_accepted(
    services: Services, operator: Partner
) -> None:
    assignments = [
        {"type": "assignment", "assignment": f"a-{number}", "assignment_type": "course",
         "assignee_type": kind, "assignee": assignee, "content": content,
         "due_at": "2026-06-30T22:00:00+02:00", "xp": 1000.5, "created_by": "ada"}
        for number, (kind, assignee, content) in enumerate([
            ("user", "ada", COURSE), ("team", "analytics", "ext-101"), ("group", "north", COURSE),
        ])
    ]  # fmt: skip
    xp = {**assignments[0], "assignment": "a-xp", "assignment_type": "xp", "content": None}
    response = await import_rows(operator, user("ada"), TEAM, GROUP, *assignments, xp)
    assert set(outcomes(response)) == {"added"}
    assert set(outcomes(await import_rows(operator, *assignments, xp))) == {"unchanged"}
    changed = await import_rows(
        operator, assignments[1] | {"status": "archived", "content": COURSE}
    )
    assert changed["results"][0]["changes"] == ["content", "status"]
    await complete_content(services, operator, one={"mbox": f"mailto:{ADA}"})
    assert set(outcomes(await import_rows(operator, assignments[0], xp))) == {"unchanged"}
