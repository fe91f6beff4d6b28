"""The increments that a consumer downloads add up to the whole table."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result

from lrs.api.services import Services
from lrs.reports.table_model import Table
from lrs.reports.tables import REPORTS, STATEMENTS
from tests.support.learning_history import COURSES, LEARNERS, Author, SentStatement, project_all
from tests.support.partners import Partner

ROUNDS = 4
TABLES = (*(table for table in REPORTS if table.daily), STATEMENTS)

Row = dict[str, Any]


class Warehouse:
    """Keeps some tables up to date, as docs/exports.md says."""

    def __init__(self, partner: Partner) -> None:
        self.partner = partner
        self.cursors: dict[str, str] = {}
        self.rows: dict[str, list[Row]] = {table.name: [] for table in TABLES}
        self.partly = 0

    async def refresh(self) -> None:
        for table in TABLES:
            changes = await self.ask(table, since=self.cursors.get(table.name))
            self.cursors[table.name] = changes["cursor"]
            self.rows[table.name] = [*self.kept(table, changes["replaces"]), *changes["rows"]]

    def kept(self, table: Table, replaces: str | list[str]) -> list[Row]:
        if replaces == "all":
            return []
        days = {int(day.replace("-", "")) for day in replaces}
        self.partly += len(days)
        return [row for row in self.rows[table.name] if row.get("date_id") not in days]

    async def ask(self, table: Table, since: str | None = None) -> Any:
        answer = await self.partner.http.get(
            self.partner.url(f"reports/{table.name}"),
            params={"since": since} if since else {},
            headers=self.partner.headers,
        )
        assert answer.status_code == 200, answer.text
        return answer.json()


async def send(partner: Partner, sent: list[SentStatement]) -> None:
    for item in sent:
        answer = await partner.send(
            item.body, resource=item.resource, organization=item.organization or None
        )
        assert answer.status_code in (200, 409), answer.text


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
async def test_sum_of_increments_equals_the_whole_table(
    services: Services, partner: Partner, run: Callable[..., Result], tmp_path: Any, seed: int
) -> None:
    """While statements arrive late, void each other, define courses and identities late, while
    people join, and content items are deleted and restored."""
    sent = Author(seed, partner.home_page).history(80)
    warehouse = Warehouse(partner)
    people = tmp_path / "people.csv"
    people.write_text(
        "type,user,email,organization,from\n"
        + "".join(f"user,{item},{item}@example.com\n" for item in LEARNERS)
        + "".join(f"membership,{item},,north,2026-05-06\n" for item in LEARNERS[:2])
    )
    commands = [
        ("content", "delete", partner.name, COURSES[0]),
        ("people", "import", partner.name, str(people)),
        ("content", "restore", partner.name, COURSES[0]),
        ("reports", "rebuild", partner.name),
    ]
    size = len(sent) // ROUNDS + 1
    for number in range(ROUNDS):
        await send(partner, sent[number * size : (number + 1) * size])
        await project_all(services, partner.partner_id)
        await warehouse.refresh()
        done = await asyncio.to_thread(run, *commands[number])
        assert done.exit_code == 0, done.output
        await warehouse.refresh()
    for table in TABLES:
        whole = (await warehouse.ask(table))["rows"]
        assert sorted(map(str, warehouse.rows[table.name])) == sorted(map(str, whole)), table.name
    assert len(warehouse.rows["course_fact"]) > 10
    assert warehouse.partly > 10
