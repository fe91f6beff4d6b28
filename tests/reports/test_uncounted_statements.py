"""Every accepted statement is in a table of the vendor's, or in `uncounted` with a reason."""

from __future__ import annotations

import random
from collections import Counter
from datetime import date, timedelta
from typing import Any

import asyncpg
import pytest

from lrs.api.services import Services
from lrs.projection.vocabulary import REPORTED_TYPES, load_vocabulary
from lrs.store import registry
from lrs.store.partner_settings import PartnerSettings
from tests.support.learning_history import mailbox, project_all
from tests.support.partners import Partner
from tests.support.people_import import import_rows, membership, user
from tests.support.projection import rebuild, voiding
from tests.support.projection_oracle import WORKSPACE_KINDS
from tests.support.report_downloads import get
from tests.support.statements import new_id, statement

Json = dict[str, Any]

KINDS = {kind: verb for verb, (kind, _) in reversed(load_vocabulary().verbs.items())}
KINDS["worked"] = "http://example.com/verbs/anything"
TYPES = {name: iri for iri, name in reversed(load_vocabulary().types.items())}
OTHER_TYPE = "video"
IDS = {
    **{f"{name}_fact": f"{name}_id" for name in REPORTED_TYPES - {"track"}},
    "workspace_visit_fact": "workspace_id",
    "publication_fact": "workspace_id",
    "track_fact": "track_version_id",
}
"""The vendor's facts, and which column has the content item (a track without versions is one)."""

FIRST_DAY = date(2026, 5, 4)
LEFT = FIRST_DAY + timedelta(days=3)
LEARNERS = ("ada", "ben")


def reason(type_: str, kind: str, *, has_measure: bool, is_member: bool) -> str | None:
    """Why a statement is in no Data Connector table; None if it is in one."""
    if type_ not in REPORTED_TYPES:
        return "no table for the type"
    if not is_member:
        return "outside the membership"
    if type_ == "workspace":
        return None if kind in WORKSPACE_KINDS else "no column of workspaces"
    if type_ in ("certification", "track"):
        return None
    return "enrolment only" if kind == "registered" and not has_measure else None


def activity(type_: str, name: str) -> Json:
    return {
        "id": f"http://example.com/{type_}/{name}",
        "definition": {"type": TYPES.get(type_, f"http://example.com/types/{type_}")},
    }


async def change_default_type(services: Services, partner: Partner) -> None:
    settings = PartnerSettings(default_content_type="none")
    await registry.set_partner_settings(services.database, partner.name, settings)


async def rows(partner: Partner, table: str) -> list[Json]:
    return list((await get(partner, table)).json()["rows"])


async def test_statement_of_each_kind_and_type_is_in_a_table_or_uncounted(
    services: Services, partner: Partner
) -> None:
    await change_default_type(services, partner)
    cases = {
        activity(type_, f"{kind}-{has_measure}")["id"]: (type_, kind, has_measure)
        for type_ in sorted({*REPORTED_TYPES, OTHER_TYPE})
        for kind in sorted(KINDS)
        for has_measure in (True, False)
    }
    items = [
        statement(
            object=activity(type_, f"{kind}-{has_measure}"),
            verb={"id": KINDS[kind]},
            **({"result": {"duration": "PT5M"}} if has_measure else {}),
        )
        for type_, kind, has_measure in cases.values()
    ]
    response = await partner.send(items)
    assert response.status_code == 200, response.text
    await project_all(services, partner.partner_id)
    ids = {row["activity_id"]: row["content_id"] for row in await rows(partner, "content_dim")}
    in_facts = {row[column] for table, column in IDS.items() for row in await rows(partner, table)}
    uncounted = {row["activity_id"]: row["reason"] for row in await rows(partner, "uncounted")}
    assert len(KINDS) >= 14
    for activity_id, (type_, kind, has_measure) in cases.items():
        expected = reason(type_, kind, has_measure=has_measure, is_member=True)
        assert uncounted.get(activity_id) == expected, activity_id
        assert (ids[activity_id] in in_facts) == (expected is None), activity_id


@pytest.mark.parametrize("seed", range(3))
async def test_uncounted_statements_of_a_history_have_their_reasons(
    services: Services, operator: Partner, connection: asyncpg.Connection, seed: int
) -> None:
    """One learner is a member on the first days; statements arrive in batches, some are voided."""
    await change_default_type(services, operator)
    await import_rows(
        operator,
        {"type": "group", "organization": "north", "title": "North"},
        user("ada", email="ada@example.com"),
        membership("ada", FIRST_DAY.isoformat(), LEFT.isoformat(), organization="north"),
    )
    chance = random.Random(seed)
    expected: Counter[tuple[str | None, str]] = Counter()
    total = 0
    for _ in range(4):
        batch, voided = [], []
        for _ in range(25):
            type_ = chance.choice(["course", "workspace", "track", "assessment", OTHER_TYPE])
            kind, learner = chance.choice(sorted(KINDS)), chance.choice(LEARNERS)
            has_measure, day = chance.random() < 0.5, FIRST_DAY + timedelta(chance.randrange(6))
            item = statement(
                id=new_id(),
                actor=mailbox(learner),
                object=activity(type_, str(chance.randrange(3))),
                verb={"id": KINDS[kind]},
                timestamp=f"{day}T{chance.randrange(24):02}:00:00Z",
                **({"result": {"duration": "PT5M"}} if has_measure else {}),
            )
            batch.append(item)
            if chance.random() < 0.1:
                voided.append(item)
                continue
            is_member = learner != "ada" or day < LEFT
            why = reason(type_, kind, has_measure=has_measure, is_member=is_member)
            total += why is not None
            if why:
                expected[item["object"]["id"], why] += 1
        group = {"objectType": "Group", "member": [mailbox("ada")]}
        batch.append(statement(id=new_id(), actor=group))
        expected[None, "group as actor"] += 1
        total += 1
        response = await operator.send([*batch, *map(voiding, voided)])
        assert response.status_code == 200, response.text
        await project_all(services, operator.partner_id, limit=17)
        await assert_uncounted(operator, expected, total)
    await rebuild(services, operator)
    await assert_uncounted(operator, expected, total)


async def assert_uncounted(
    partner: Partner, expected: Counter[tuple[str | None, str]], total: int
) -> None:
    response = await get(partner, "uncounted")
    actual: Counter[tuple[str | None, str]] = Counter()
    for row in response.json()["rows"]:
        actual[row["activity_id"], row["reason"]] += row["statements"]
    assert actual == expected
    assert response.json()["uncounted"] == total
