"""The one filterable list: SQL for a page of statements.

One condition leads: its ranges are walked in page order, which gives places. The statement at each
is looked up, once, and the other conditions are tried on it. Which one leads is found out by the
query itself: of a hundred places ahead, the last one of a rare condition lies farthest away. A walk
ends when the page is full, or when it has examined as many statements as one request may; then the
page ends early, and the next one goes on from there.

Nothing of this is left to the planner, who cannot know how often one value occurs. A range is asked
for by whole rows of its index, so that no other index can give it in order; `offset 0` keeps a
look-up a look-up; and connections for lists know no way but indexes and loops (see database.py).

Most indexes hold keys without a partner (see keys.py). It is the look-up, by partner and place,
that says whose a statement is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import count
from typing import Any

from lrs.store.database import Database, errors_translated
from lrs.store.keys import salt
from lrs.store.selections import Column, Range, Selection
from lrs.store.together import Once
from lrs.xapi import links

EXAMINED = 10_000
_AHEAD = 100


@dataclass(frozen=True, slots=True)
class Page:
    """Statements as JSON texts with commas between them.

    `last` is the place where the page ends, only if there is more behind it.
    """

    statements: bytes
    last: int | None


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
        return Page(*row)


def build(partner_id: int, selection: Selection) -> tuple[str, list[Any]]:
    """The query and its arguments; its one row is a page."""
    shape = tuple(tuple(each.column for each in ranges) for ranges in selection.conditions)
    return _sql(shape, selection.ascending), [
        partner_id,
        selection.limit,
        EXAMINED,
        links.VOIDED_KEY ^ salt(partner_id),
        *selection.window(),
        *(_own(partner_id, each) for ranges in selection.conditions for each in ranges),
    ]


def _own(partner_id: int, each: Range) -> int | str:
    """The value as the partner's rows have it."""
    return each.value if isinstance(each.value, str) else each.value ^ salt(partner_id)


@dataclass(frozen=True, slots=True)
class _Walked:
    """The range of an index that has this value, a parameter, in this column."""

    column: Column
    value: str

    @property
    def table(self) -> str:
        return "link" if self.column == "key" else "statement"

    @property
    def of_partner(self) -> str:
        """What limits the range to the partner, where the value does not."""
        return "partner_id = $1 and " if self.column == "organization" else ""


@cache
def _sql(shape: tuple[tuple[Column, ...], ...], ascending: bool) -> str:
    """The query for conditions that are met in ranges of these columns.

    Its parameters: $1 partner, $2 limit, $3 how many to examine, $4 the verb that voids, $5 and $6
    the places in which the page lies, and the value of each range.
    """
    numbers = count(7)
    conditions = [[_Walked(column, f"${next(numbers)}") for column in each] for each in shape]
    return _Query(conditions, ascending).sql()


class _Query:
    """The SQL of a page, put together from its conditions."""

    def __init__(self, conditions: Sequence[Sequence[_Walked]], ascending: bool) -> None:
        self.conditions = conditions
        self.several = len(conditions) > 1
        self.direction = "asc" if ascending else "desc"
        self.nearest, self.farthest = ("least", "desc") if ascending else ("greatest", "asc")

    def sql(self) -> str:
        """Rows keep the order of the walk on their way to the answer: nothing there reorders."""
        met = [self._met(number) for number in range(len(self.conditions)) if self.several]
        columns = {each.column for ranges in self.conditions for each in ranges} - {"key"}
        looked_up = ", ".join(sorted({"statement_id", "verb_key", "payload", *columns}))
        return f"""
with {self._lead() if self.several else ""}candidate as materialized ({self._candidates()}
),
page as materialized (
    select candidate.place, statement.payload, row_number() over () as nth
    from candidate
    cross join lateral (
        select {looked_up} from statement
        where partner_id = $1 and place = candidate.place
        offset 0
    ) as statement
    where {" and ".join([_NOT_VOIDED, *met])}
    limit $2 + 1
)
select
    (select convert_to(coalesce(string_agg(payload, ','), ''), 'UTF8') from page where nth <= $2),
    (
        select place from page
        where nth = $2 and exists (select from page where nth > $2)
        union all
        (select place from candidate
        where not exists (select from page where nth > $2)
        offset $3 - 1 limit 1)
    )"""

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

    def _reach(self, each: _Walked) -> str:
        return f"(select place from ({self._walk(each, _AHEAD)}) as ahead offset {_AHEAD - 1})"

    def _candidates(self) -> str:
        """The first places of the condition that leads."""
        if not self.conditions:
            return f"""
    select place from statement
    where partner_id = $1 and place >= $5 and place < $6
    order by place {self.direction}
    limit $3"""
        branches = [self._branch(number) for number in range(len(self.conditions))]
        return "\n    union all".join(branches)

    def _branch(self, number: int) -> str:
        ranges = self.conditions[number]
        guard = f"where {self._leads(number)}" if self.several else ""
        walks = " union all ".join(f"({self._walk(each, '$3')})" for each in ranges)
        once = "distinct " if len(ranges) > 1 else ""
        return f"""
    (select {once}place
    from ({walks}) as walked
    {guard}
    order by place {self.direction}
    limit $3)"""

    def _walk(self, each: _Walked, limit: int | str) -> str:
        column, value = each.column, each.value
        order = f"{column} {self.direction}, place {self.direction}"
        return f"""
        select place
        from (
            select {column}, place from {each.table}
            where {each.of_partner}{column} is not null
                and ({column}, place) >= ({value}, $5) and ({column}, place) < ({value}, $6)
            order by {order}
            limit {limit}
        ) as range
        where {column} = {value}
        order by {order}"""

    def _leads(self, number: int) -> str:
        return f"(select number from lead) = {number}"

    def _met(self, number: int) -> str:
        found = map(_meets, self.conditions[number])
        return f"({' or '.join([self._leads(number), *found])})"


def _meets(each: _Walked) -> str:
    """Whether the statement that was looked up is in the range."""
    if each.table == "statement":
        return f"coalesce(statement.{each.column} = {each.value}, false)"
    return f"""exists (
        select from link
        where key = {each.value} and place = candidate.place
        offset 0)"""


_NOT_VOIDED = """(not exists (
        select from reference
        where partner_id = $1 and target_id = statement.statement_id and voids
        offset 0)
        or statement.verb_key = $4)"""
