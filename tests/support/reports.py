"""Rows of the reporting tables of one partner, and the vendor's query and snippet."""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

from lrs.store.postgres import Database
from tests.support.files import FIXTURES

Row = dict[str, Any]

DAY = date(2026, 5, 8)
NOON = datetime(2026, 5, 8, 12, tzinfo=UTC)


@dataclass
class World:
    """Inserts rows of one partner; methods return the id of the row."""

    database: Database
    partner_id: int
    keys: dict[int, int] = field(default_factory=dict)

    async def insert(self, table: str, **values: Any) -> Any:
        values = {"partner_id": self.partner_id, **values}
        positions = ", ".join(f"${number + 1}" for number in range(len(values)))
        return await self.database.writers.fetchrow(
            f"insert into {table} ({', '.join(values)}) values ({positions}) returning *",
            *values.values(),
        )

    async def person(self, **values: Any) -> int:
        return (await self.insert("person", **values))["person_id"]

    async def group(self, name: str = "") -> int:
        return (await self.insert("learner_group", name=name))["group_id"]

    async def team(self, slug: str, *members: int, **values: Any) -> int:
        row = await self.insert("team", slug=slug, name=slug.title(), **values)
        for person_id in members:
            await self.member("team", row["team_id"], person_id)
        return row["team_id"]

    async def member(
        self, of: str, id_: int, person_id: int, from_day: date = DAY, to_day: date | None = None
    ) -> None:
        await self.insert(
            f"{of}_membership",
            person_id=person_id,
            from_day=from_day,
            to_day=to_day,
            **{f"{of}_id": id_},
        )

    async def content(
        self, type_: str, title: str, parent: int | None = None, **values: Any
    ) -> int:
        columns = {name: values.pop(name, None) for name in ("technology", "topic", "deleted_at")}
        row = await self.insert(
            "content_item",
            content_key=len(self.keys),
            parent_key=None if parent is None else self.keys[parent],
            type=type_,
            title=title,
            activity_id=f"http://example.com/{title}",
            attributes=json.dumps(values),
            **columns,
        )
        self.keys[row["content_id"]] = row["content_key"]
        return row["content_id"]

    async def day(self, person_id: int, content_id: int, day: date = DAY, **values: Any) -> None:
        await self.insert(
            "daily_fact", person_id=person_id, content_id=content_id, day=day, **values
        )

    async def record(self, person_id: int, content_id: int, **values: Any) -> None:
        defaults = {
            "last_activity_at": NOON,
            "attempts": 1,
            "status": "completed",
            "source": "xapi",
        }
        defaults |= {"person_id": person_id, "content_id": content_id, "organization": ""}
        await self.insert("learner_record", **defaults | values)

    async def event(
        self, person_id: int, content_id: int, kind: str, at: datetime = NOON, **values: Any
    ) -> None:
        defaults = {"organization": "", "is_cumulative": False, "source": "xapi", "agent_key": 0}
        await self.insert(
            "learning_event",
            statement_id=uuid4(),
            person_id=person_id,
            content_id=content_id,
            kind=kind,
            at=at,
            **defaults | values,
        )

    async def classroom(self) -> None:
        """Two teams with two weeks of activity in three courses and a deleted one."""
        people = [await self.person(first_name=name) for name in ("Ann", "Ben", "Cy")]
        await self.team("red", *people[:2])
        await self.team("blue", *people[1:])
        courses = [
            await self.content("course", "Python", technology="Python", xp=4000),
            await self.content("course", "Pandas", technology="Python", xp=3000),
            await self.content("course", "Joins", technology="SQL", xp=2000),
            await self.content("course", "Gone", technology="R", xp=1, deleted_at=NOON),
        ]
        for number, person in enumerate(people):
            for position, course in enumerate(courses):
                for days in (0, 2, 5, 9):
                    await self.day(
                        person,
                        course,
                        DAY + timedelta(days=days + number),
                        xp=50.0 * (position + 1),
                        time_spent=900.0 * (number + 1),
                        started_at=NOON,
                    )


VENDOR_QUERY = (FIXTURES / "data-model-query.sql").read_text()

SNIPPET = (
    (FIXTURES / "data-model-snippet.txt")
    .read_text()
    .replace("from dcdcpy import", "from lrs_client import", 1)
)
"""The vendor's own, but for its import line."""


def evaluated(source: str) -> Any:
    """The value of the last expression of a program."""
    *statements, last = ast.parse(source).body
    assert isinstance(last, ast.Expr)
    names: dict[str, Any] = {}
    exec(compile(ast.Module(statements, []), "snippet", "exec"), names)
    return eval(compile(ast.Expression(last.value), "snippet", "eval"), names)
