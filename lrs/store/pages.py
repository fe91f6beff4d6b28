"""The one filterable list: SQL for a page of statements.

One condition leads: its ranges are walked in page order, and the others are looked up for each
statement met on the way. Which one leads is found out by the query itself: of a hundred places
ahead, the last one of a rare condition lies farthest away. A walk ends when the page is full, or
when it has examined as many statements as one request may; then the page ends early, and the next
one goes on from there.

Nothing of this is left to the planner, who cannot know how often one value occurs. A range is asked
for by whole rows of its index, so that no other index can give it in order; `offset 0` keeps a
look-up a look-up; and connections for lists know no way but indexes and loops (see database.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import count
from typing import Any

from lrs.store.database import Database, errors_translated
from lrs.store.selections import Column, Place, Selection
from lrs.store.together import Once
from lrs.xapi import links

EXAMINED = 10_000
_AHEAD = 100


@dataclass(frozen=True, slots=True)
class Page:
    """Statements as JSON texts with commas between them; `last` only if there is more behind it."""

    statements: bytes
    last: Place | None


class Pages:
    """Pages; those who ask for the same one at the same time share it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pages = Once(self._read)

    async def page(self, partner_id: int, selection: Selection, seen: datetime) -> Page:
        """One page. There may be more behind one that is not full.

        `seen` is when the caller found out what is complete. Only those who share that share the
        page: its query began after it, and so after each of them asked.
        """
        return await self._pages.answer((partner_id, selection, seen))

    async def _read(self, asked: tuple[int, Selection, datetime]) -> Page:
        partner_id, selection, _ = asked
        sql, arguments = build(partner_id, selection)
        with errors_translated():
            (row,) = await self._database.lists.fetch(sql, *arguments)
        last = Place(row["stored"], str(row["statement_id"])) if row["stored"] else None
        return Page(row["statements"], last)


def build(partner_id: int, selection: Selection) -> tuple[str, list[Any]]:
    """The query and its arguments; its one row is statements, stored, statement_id."""
    low, high = selection.window()
    values = [each.value for condition in selection.conditions for each in condition]
    shape = tuple(tuple(each.column for each in ranges) for ranges in selection.conditions)
    return _sql(shape, selection.ascending), [
        partner_id,
        selection.limit,
        EXAMINED,
        links.VOIDED_KEY,
        low.stored,
        low.statement_id,
        high.stored,
        high.statement_id,
        *values,
    ]


@dataclass(frozen=True, slots=True)
class _Range:
    """The range of an index that has this value, a parameter, in this column."""

    column: Column
    value: str

    @property
    def table(self) -> str:
        return "link" if self.column == "key" else "statement"


_VOIDING = _Range("verb_key", "$4")


@cache
def _sql(shape: tuple[tuple[Column, ...], ...], ascending: bool) -> str:
    """The query for conditions that are met in ranges of these columns.

    Its parameters: $1 partner, $2 limit, $3 how many to examine, $4 the verb that voids, $5 to $8
    the places between which the page lies, and the value of each range.
    """
    numbers = count(9)
    conditions = [[_Range(column, f"${next(numbers)}") for column in each] for each in shape]
    return _Query(conditions, ascending).sql()


class _Query:
    """The SQL of a page, put together from its conditions."""

    def __init__(self, conditions: Sequence[Sequence[_Range]], ascending: bool) -> None:
        self.conditions = conditions
        self.several = len(conditions) > 1
        self.direction = "asc" if ascending else "desc"
        self.nearest, self.farthest = ("least", "desc") if ascending else ("greatest", "asc")

    def sql(self) -> str:
        """Rows keep the order of the walk on their way to the answer: nothing there reorders."""
        met = [self._met(number) for number in range(len(self.conditions)) if self.several]
        return f"""
with {self._lead() if self.several else ""}candidate as materialized ({self._candidates()}
),
page as materialized (
    select stored, statement_id, row_number() over () as nth
    from candidate as place
    where {" and ".join([_NOT_VOIDED, *met])}
    limit $2 + 1
),
last as (
    select stored, statement_id from page
    where nth = $2 and exists (select from page where nth > $2)
    union all
    (select stored, statement_id from candidate
    where not exists (select from page where nth > $2)
    offset $3 - 1 limit 1)
)
select
    (
        select convert_to(coalesce(string_agg(payload, ','), ''), 'UTF8')
        from page
        cross join lateral (
            select payload from statement
            where partner_id = $1 and stored = page.stored and statement_id = page.statement_id
            offset 0
        ) as statement
        where nth <= $2
    ) as statements,
    (select stored from last) as stored,
    (select statement_id from last) as statement_id"""

    def _lead(self) -> str:
        """The number of the rarest condition: its places are the farthest apart, or end soon."""
        reaches = "\n        union all ".join(
            f"select {number}, {self.nearest}({', '.join(map(self._reach, condition))})"
            for number, condition in enumerate(self.conditions)
        )
        return f"""lead as materialized (
    select number
    from (
        {reaches}
    ) as condition (number, reach)
    order by reach {self.farthest} nulls first, number
    limit 1
),
"""

    def _reach(self, each: _Range) -> str:
        return f"(select stored from ({self._walk(each, _AHEAD)}) as ahead offset {_AHEAD - 1})"

    def _candidates(self) -> str:
        """The first statements of the condition that leads."""
        if not self.conditions:
            return self._walk(None, "$3")
        branches = [self._branch(number) for number in range(len(self.conditions))]
        return "\n    union all".join(branches)

    def _branch(self, number: int) -> str:
        ranges = self.conditions[number]
        guard = f"where {self._leads(number)}" if self.several else ""
        walks = " union all ".join(f"({self._walk(each, '$3')})" for each in ranges)
        once = "distinct " if len(ranges) > 1 else ""
        return f"""
    (select {once}stored, statement_id
    from ({walks}) as walked
    {guard}
    order by {self._order()}
    limit $3)"""

    def _walk(self, each: _Range | None, limit: int | str) -> str:
        column = [each.column] if each else []
        value = f"{each.value}, " if each else ""
        row = ", ".join([*column, "stored", "statement_id"])
        found = f"where {each.column} = {each.value}" if each else ""
        return f"""
        select stored, statement_id
        from (
            select {row} from {each.table if each else "statement"}
            where partner_id = $1{"".join(f" and {name} is not null" for name in column)}
                and ({row}) > ({value}$5, $6) and ({row}) < ({value}$7, $8)
            order by {self._order(*column)}
            limit {limit}
        ) as range
        {found}
        order by {self._order(*column)}"""

    def _order(self, *columns: str) -> str:
        return ", ".join(
            f"{each} {self.direction}" for each in (*columns, "stored", "statement_id")
        )

    def _leads(self, number: int) -> str:
        return f"(select number from lead) = {number}"

    def _met(self, number: int) -> str:
        found = map(_contains, self.conditions[number])
        return f"({' or '.join([self._leads(number), *found])})"


def _contains(each: _Range) -> str:
    return f"""exists (
        select from {each.table} as other
        where other.partner_id = $1 and other.{each.column} = {each.value}
            and other.stored = place.stored and other.statement_id = place.statement_id
        offset 0)"""


_NOT_VOIDED = f"""(not exists (
        select from reference
        where partner_id = $1 and target_id = place.statement_id and voids
        offset 0)
        or {_contains(_VOIDING)})"""
