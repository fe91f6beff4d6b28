"""Learners whose mail addresses differ in letter case only (the setting `fold_mail_case`)."""

from __future__ import annotations

import asyncio
from hashlib import sha1
from typing import Any

import pytest

from lrs.api.services import Services
from lrs.projection import mail_case
from lrs.projection.projector import Projector
from lrs.projection.vocabulary import load_vocabulary
from lrs.reports import record_list_query
from lrs.store import partner_settings, registry
from tests.support.learner_changes import (
    assert_rebuild_changes_nothing,
    listed,
    records,
    request,
)
from tests.support.partners import Partner
from tests.support.people_import import (
    complete_content,
    identifier,
    import_rows,
    preview,
    refused,
    user,
)
from tests.support.statements import statement

LOWER, MIXED, UPPER = "ada.l@example.com", "Ada.L@example.com", "ADA.L@example.com"


def mbox(address: str) -> dict[str, Any]:
    return {"mbox": f"mailto:{address}"}


def digest(address: str) -> dict[str, Any]:
    return {"mbox_sha1sum": sha1(f"mailto:{address}".encode()).hexdigest()}


async def set_folding(services: Services, operator: Partner, value: bool) -> None:
    settings = partner_settings.change(partner_settings.DEFAULTS, {"fold_mail_case": value})
    await registry.set_partner_settings(services.database, operator.name, settings)
    await Projector(services.database, load_vocabulary()).run_once()
    await asyncio.sleep(0.06)  # the credential cache has the settings for 0.05 seconds


async def bulk_records(operator: Partner, learner: str) -> set[str]:
    """The content items of a learner in the records of all learners; empty without such one."""
    response = await operator.http.get(
        operator.url("records"), headers=operator.headers, params={"learner": learner}
    )
    assert response.status_code == 200, response.text
    return {item["activity_id"].rpartition("/")[2] for item in response.json()["records"]}


async def one_learner(operator: Partner) -> dict[str, Any]:
    (learner,) = await listed(operator)
    return learner


async def test_spellings_are_one_learner(services: Services, operator: Partner) -> None:
    await complete_content(services, operator, one=mbox(MIXED), two=mbox(LOWER))
    await complete_content(services, operator, three=mbox(UPPER), four=digest(LOWER))
    await complete_content(services, operator, five=digest(UPPER), six=digest(MIXED))
    everything = {"one", "two", "three", "four", "five", "six"}
    for name in (LOWER, MIXED, UPPER, f"mailto:{UPPER}", "aDa.l@Example.COM"):
        assert await records(operator, name) == everything
    await assert_rebuild_changes_nothing(services, operator)


async def test_import_takes_every_spelling(services: Services, operator: Partner) -> None:
    await complete_content(services, operator, one=mbox(LOWER), two=mbox(UPPER))
    await import_rows(operator, user("ada", email=MIXED))
    await complete_content(services, operator, three=mbox("aDA.l@example.com"))
    assert await records(operator, "ada") == {"one", "two", "three"}
    assert (await one_learner(operator))["email"] == MIXED
    assert (await preview(operator, user("ada", email=MIXED)))[0]["outcome"] == "unchanged"
    (violation,) = await refused(operator, user("ben", email=UPPER))
    assert 'found that of "ada"' in violation[2]
    await import_rows(operator, user("ben", email=UPPER), merge="true")
    assert (await records(operator, "ada"), await records(operator, "ben")) == (
        set(),
        {"one", "two", "three"},
    )


async def test_two_users_with_spellings_of_one_address_are_refused(operator: Partner) -> None:
    ((_, pointer, detail),) = await refused(
        operator, user("ada", email=LOWER), user("ben", email=UPPER)
    )
    assert (pointer, detail) == (
        "/email",
        'expected an identifier of one user only, found that of "ada" in row 0',
    )


async def test_setting_separates_and_regroups_the_history(
    services: Services, operator: Partner
) -> None:
    await set_folding(services, operator, False)
    await complete_content(services, operator, one=mbox(LOWER), two=mbox(UPPER), four=digest(UPPER))
    assert await records(operator, LOWER) == {"one"}
    assert await records(operator, UPPER) == {"two", "four"}
    assert await records(operator, MIXED) is None
    await set_folding(services, operator, True)
    await complete_content(services, operator, three=mbox(MIXED))
    assert await bulk_records(operator, "aDA.L@example.com") == {"one", "two", "three", "four"}
    for name in (LOWER, UPPER, MIXED):
        assert await records(operator, name) == {"one", "two", "three", "four"}
    assert (await one_learner(operator))["records"] == 4
    await assert_rebuild_changes_nothing(services, operator)
    await set_folding(services, operator, False)
    assert await records(operator, LOWER) == {"one"}
    assert await records(operator, UPPER) == {"two", "four"}
    assert await records(operator, MIXED) == {"three"}
    await complete_content(services, operator, five=mbox("aDA.l@example.com"))
    assert len(await listed(operator)) == 4
    await assert_rebuild_changes_nothing(services, operator)


async def test_imported_spelling_stays_with_its_user(services: Services, operator: Partner) -> None:
    await import_rows(operator, user("ada", email=MIXED), identifier("ada", "track", "7f0c"))
    await complete_content(services, operator, one=mbox(MIXED), two=mbox(UPPER))
    assert await records(operator, "ada") == {"one", "two"}
    await set_folding(services, operator, False)
    assert await records(operator, "ada") == {"one"}
    assert await records(operator, UPPER) == {"two"}
    await set_folding(services, operator, True)
    assert await records(operator, "ada") == {"one", "two"}


async def test_two_imported_users_are_not_merged(services: Services, operator: Partner) -> None:
    await set_folding(services, operator, False)
    await import_rows(operator, user("ada", email=MIXED), user("ben", email=UPPER))
    await complete_content(services, operator, one=mbox(MIXED), two=mbox(UPPER))
    await set_folding(services, operator, True)
    assert (await records(operator, "ada"), await records(operator, "ben")) == ({"one"}, {"two"})


@pytest.mark.parametrize("applied", ["null", "false"])
async def test_database_of_an_earlier_version_is_regrouped(
    services: Services, operator: Partner, applied: str
) -> None:
    await set_folding(services, operator, False)
    await complete_content(services, operator, one=mbox(UPPER), two=mbox(LOWER))
    settings = partner_settings.DEFAULTS
    await registry.set_partner_settings(services.database, operator.name, settings)
    await services.database.writers.execute(
        f"update projection set folds_mail_case = {applied} where partner_id = $1",
        operator.partner_id,
    )
    first = min(item["user_id"] for item in await listed(operator))
    await Projector(services.database, load_vocabulary()).run_once()
    learner = await one_learner(operator)
    assert (learner["user_id"], learner["records"]) == (first, 2)
    async with services.database.writers.acquire() as connection:
        assert not await mail_case.apply_setting(connection, operator.partner_id)


async def test_deleted_learner_stays_deleted_in_another_spelling(
    services: Services, operator: Partner
) -> None:
    await complete_content(services, operator, one=mbox(MIXED))
    assert (await request(operator, MIXED)).status_code == 200
    await complete_content(services, operator, two=mbox(UPPER))
    assert await listed(operator) == []


def test_address_is_looked_up_exactly_without_folding() -> None:
    lower, upper = (
        record_list_query.parse(
            [("learner", address)], home_page="x", page_size=1, is_file=False, folds_mail_case=False
        ).learner
        for address in (LOWER, UPPER)
    )
    assert lower is not None
    assert upper is not None
    assert not set(lower.keys) & set(upper.keys)


async def test_failed_regrouping_does_not_stop_the_projection(
    services: Services, operator: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> None:
        raise RuntimeError("no merge")

    await complete_content(services, operator, one=mbox(LOWER))
    monkeypatch.setattr(mail_case, "apply_setting", fail)
    await set_folding(services, operator, False)
    sent = statement(actor=mbox(LOWER), object={"id": "http://example.com/two"})
    assert (await operator.send(sent)).status_code == 200
    await Projector(services.database, load_vocabulary()).run_once()
    assert await records(operator, LOWER) == {"one", "two"}
