"""The one filterable list: SQL for a page of statements.

One condition leads: its ranges are walked in page order, and the others are looked up for each
statement met on the way. Which one leads is found out by the query itself: of some hundreds of
places ahead, the last one of a rare condition lies farthest away. A walk ends when the page is
full, or when it has examined as many statements as one request may; then the page ends early, and
the next one goes on from there.

Nothing of this is left to the planner, who cannot know how often one value occurs. A range is asked
for by whole rows of its index, so that no other index can give it in order; `offset 0` keeps a
look-up a look-up; and connections for lists know no way but indexes and loops (see database.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lrs.store.database import Database, errors_translated
from lrs.store.selections import Condition, Place, Range, Selection
from lrs.xapi import links

EXAMINED = 10_000
_AHEAD = 500

_VOIDING = Range("verb_key", links.VOIDED_KEY)


@dataclass(frozen=True, slots=True)
class Page:
    """Statements as JSON texts with commas between them; `last` only if there is more behind it."""

    statements: bytes
    last: Place | None


async def page(database: Database, partner_id: int, selection: Selection) -> Page:
    """One page. There may be more behind one that is not full."""
    sql, arguments = build(partner_id, selection)
    with errors_translated():
        (row,) = await database.lists.fetch(sql, *arguments)
    last = Place(row["stored"], str(row["statement_id"])) if row["stored"] else None
    return Page(row["statements"], last)


def build(partner_id: int, selection: Selection) -> tuple[str, list[Any]]:
    """The query and its arguments; its one row is statements, stored, statement_id."""
    query = _Query(partner_id, selection)
    return query.sql(), query.arguments


class _Query:
    """The SQL of one page, put together from its conditions."""

    def __init__(self, partner_id: int, selection: Selection) -> None:
        self.arguments: list[Any] = []
        self.conditions = selection.conditions or ((Range(),),)
        self.ascending = selection.ascending
        self.partner = self._argument(partner_id)
        self.limit = self._argument(selection.limit)
        self.examined = self._argument(EXAMINED)
        low, high = selection.window()
        self.low = f"{self._argument(low.stored)}, {self._argument(low.statement_id)}"
        self.high = f"{self._argument(high.stored)}, {self._argument(high.statement_id)}"
        ranges = [each for condition in selection.conditions for each in condition]
        self.values = {
            each: self._argument(each.value) for each in dict.fromkeys([*ranges, _VOIDING])
        }

    def _argument(self, value: object) -> str:
        self.arguments.append(value)
        return f"${len(self.arguments)}"

    def sql(self) -> str:
        branches = "\n    union all".join(map(self._branch, range(len(self.conditions))))
        return f"""
with {self._lead()}page as materialized ({branches}
),
shown as (
    select * from page order by {self._order()} limit {self.limit}
),
last as (
    select stored, statement_id from shown
    where (select count(*) > {self.limit} or max(nth) = {self.examined} from page)
    order by {self._order(back=True)} limit 1
)
select
    convert_to(array_to_string(array(
        select statement.payload
        from shown
        cross join lateral (
            select payload from statement
            where partner_id = {self.partner} and statement_id = shown.statement_id
            offset 0
        ) as statement
        where shown.met
        order by {self._order()}
    ), ','), 'UTF8') as statements,
    (select stored from last) as stored,
    (select statement_id from last) as statement_id"""

    def _order(self, *columns: str, back: bool = False) -> str:
        direction = "asc" if self.ascending != back else "desc"
        return ", ".join(f"{each} {direction}" for each in (*columns, "stored", "statement_id"))

    def _lead(self) -> str:
        """The number of the rarest condition: its places are the farthest apart, or end soon."""
        if len(self.conditions) == 1:
            return ""
        nearest, farthest = ("least", "desc") if self.ascending else ("greatest", "asc")
        reaches = "\n        union all ".join(
            f"select {number}, {nearest}({', '.join(map(self._reach, condition))})"
            for number, condition in enumerate(self.conditions)
        )
        return f"""lead as materialized (
    select number
    from (
        {reaches}
    ) as condition (number, reach)
    order by reach {farthest} nulls first, number
    limit 1
),
"""

    def _reach(self, each: Range) -> str:
        return f"(select stored from ({self._walk(each, _AHEAD)}) as ahead offset {_AHEAD - 1})"

    def _branch(self, number: int) -> str:
        """The page, if this condition leads; one that ends early ends with the last examined."""
        others = [each for other, each in enumerate(self.conditions) if other != number]
        met = "\n            and ".join([*map(self._met, others), self._not_voided()])
        leads = f"where (select number from lead) = {number}" if others else ""
        return f"""
    (select *
    from (
        select stored, statement_id, row_number() over () as nth, {met} as met
        from ({self._candidates(self.conditions[number])}) as place
        {leads}
        offset 0
    ) as examined
    where met or nth = {self.examined}
    limit {self.limit} + 1)"""

    def _candidates(self, lead: Condition) -> str:
        if len(lead) == 1:
            return self._walk(lead[0], self.examined)
        walks = " union all ".join(f"({self._walk(each, self.examined)})" for each in lead)
        return f"""
            select distinct stored, statement_id
            from ({walks}) as walked
            order by {self._order()}
            limit {self.examined}"""

    def _walk(self, each: Range, limit: int | str) -> str:
        columns = [each.column] if each.column else []
        row = ", ".join([*columns, "stored", "statement_id"])
        value = "".join(f"{self.values[each]}, " for _ in columns)
        known = "".join(f" and {column} is not null" for column in columns)
        where = "".join(f"where {column} = {self.values[each]}" for column in columns)
        return f"""
            select stored, statement_id
            from (
                select {row} from {each.table}
                where partner_id = {self.partner}{known}
                    and ({row}) > ({value}{self.low}) and ({row}) < ({value}{self.high})
                order by {self._order(*columns)}
                limit {limit}
            ) as walked
            {where}
            order by {self._order(*columns)}"""

    def _met(self, condition: Condition) -> str:
        return f"({' or '.join(map(self._contains, condition))})"

    def _contains(self, each: Range) -> str:
        return (
            f"exists (select from {each.table} as other where other.partner_id = {self.partner}"
            f" and other.{each.column} = {self.values[each]} and other.stored = place.stored"
            " and other.statement_id = place.statement_id offset 0)"
        )

    def _not_voided(self) -> str:
        return (
            f"(not exists (select from reference where partner_id = {self.partner}"
            " and target_id = place.statement_id and voids offset 0)"
            f" or {self._contains(_VOIDING)})"
        )
