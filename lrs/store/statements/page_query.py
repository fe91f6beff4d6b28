"""The one filterable list: SQL for a page of statements.

One condition leads: its ranges are walked in page order, and the others are tried on each
statement met on the way. Which one leads is found out by the query itself: of fifty places
ahead, the last one of a rare condition lies farthest away. A walk ends when the page is full, or
when it has examined as many statements as one request may; then the page ends early, and the next
one goes on from there.

Nothing of this is left to the planner, who cannot know how often one value occurs. A range is asked
for by whole rows of its index, so that no other index can give it in order; `offset 0` keeps a
look-up a look-up; and connections for lists know no way but indexes and loops (see database.py).

A page is bounded in bytes, too. If one of its statements has more than its share of them, that is
not read, and the sizes of all tell how many fit: the page is asked for again with so many. No
statement of most pages is as large as that, so that one query is all.

Most indexes hold keys without a partner, whose own they are (see keys.py); that a row is the
partner's is asked of the row itself.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from itertools import accumulate, count
from typing import Any

from asyncpg import Record

from lrs.store.batching import SingleFlight
from lrs.store.postgres import Database, translate_errors
from lrs.store.statements.filters import Column, IndexRange, StatementFilter
from lrs.store.statements.partner_keys import key_salt
from lrs.xapi import index_keys

MAX_EXAMINED_STATEMENTS = 10_000
MAX_PAGE_BYTES = 8_388_608
_AHEAD = 50
_ANY_SIZE = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Page:
    """Statements as JSON texts, separated by commas; at most `MAX_PAGE_BYTES`, or a single one.

    `last` is the place where the page ends, only if there is more behind it.
    """

    statements: bytes
    last: int | None


class PageLoader:
    """Pages; those who ask for the same one at the same time share it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._single_flight = SingleFlight(self._read)

    async def load(self, partner_id: int, selection: StatementFilter, seen: datetime) -> Page:
        """One page. There may be more behind one that is not full.

        `seen` is when the caller found out what is complete. Only those who share that share the
        page: its query began after it, and so after each of them asked.
        """
        return await self._single_flight.load((partner_id, selection, seen))

    async def _read(self, asked: tuple[int, StatementFilter, datetime]) -> Page:
        partner_id, selection, _ = asked
        most_each = MAX_PAGE_BYTES // selection.limit
        statements, last, sizes = await self._fetch(partner_id, selection, most_each)
        if sizes:
            fewer = replace(selection, limit=_fitting(sizes[: selection.limit]))
            statements, last, _ = await self._fetch(partner_id, fewer, _ANY_SIZE)
        return Page(statements, last)

    async def _fetch(self, partner_id: int, selection: StatementFilter, most_each: int) -> Record:
        sql, arguments = build_page_query(partner_id, selection, most_each)
        with translate_errors():
            (row,) = await self._database.lists.fetch(sql, *arguments)
        return row


def _fitting(sizes: Sequence[int]) -> int:
    """How many of the first statements make a page."""
    return max(1, bisect_right(list(accumulate(sizes)), MAX_PAGE_BYTES))


def build_page_query(
    partner_id: int, selection: StatementFilter, most_each: int = _ANY_SIZE
) -> tuple[str, list[Any]]:
    """The query and its arguments; its one row is a page.

    If one of the statements has more than `most_each` bytes, it is their sizes instead.
    """
    shape = tuple(
        tuple((each.column, each.null_columns) for each in ranges)
        for ranges in selection.predicates
    )
    return _sql(shape, selection.ascending), [
        partner_id,
        selection.limit,
        MAX_EXAMINED_STATEMENTS,
        index_keys.VOIDED_KEY ^ key_salt(partner_id),
        *selection.sequence_range(),
        most_each,
        *(_own(partner_id, each) for ranges in selection.predicates for each in ranges),
    ]


def _own(partner_id: int, each: IndexRange) -> int | str:
    """The value as the partner's rows have it."""
    return each.value if isinstance(each.value, str) else each.value ^ key_salt(partner_id)


@dataclass(frozen=True, slots=True)
class _Walked:
    """The range of an index that has this value, a parameter, in this column."""

    column: Column
    lacking: tuple[Column, ...]
    value: str

    @property
    def table(self) -> str:
        return "index_entry" if self.column == "key" else "statement"


@cache
def _sql(shape: tuple[tuple[tuple[Column, tuple[Column, ...]], ...], ...], ascending: bool) -> str:
    """The query for conditions that are met in ranges of these columns.

    Its parameters: $1 partner, $2 limit, $3 how many to examine, $4 the verb that voids, $5 and $6
    the places in which the page lies, $7 the most bytes of a statement that is read, and the value
    of each range.
    """
    numbers = count(8)
    conditions = [[_Walked(*each, f"${next(numbers)}") for each in ranges] for ranges in shape]
    return _Query(conditions, ascending).sql()


class _Query:
    """The SQL of a page, put together from its conditions."""

    def __init__(self, conditions: Sequence[Sequence[_Walked]], ascending: bool) -> None:
        self.conditions = conditions
        self.several = len(conditions) > 1
        self.direction = "asc" if ascending else "desc"
        self.nearest, self.farthest = ("least", "desc") if ascending else ("greatest", "asc")
        ranges = [each for ranges in conditions for each in ranges if self.several]
        tried = {column for each in ranges for column in (each.column, *each.lacking)}
        kept = sorted((tried - {"key"}) | {"verb_key"})
        self.columns = ("sequence", "statement_id", *kept, "payload")

    def sql(self) -> str:
        """Rows keep the order of the walk on their way to the answer: nothing there reorders.

        A row beyond the page says that there is more, and is cut off again. Only a page that is not
        full asks where the walk ended, if that was because no more may be examined. To know how
        large a statement is, it need not be read. `textsend` gives the bytes of the text as they
        are sent.
        """
        met = [self._met(number) for number in range(len(self.conditions)) if self.several]
        return f"""
{self._lead() if self.several else ""}select
    case when largest <= $7 then
        substring(textsend(texts) for octet_length(texts) - coalesce(sizes[$2 + 1] + 1, 0))
    end,
    case
        when sizes[$2 + 1] is not null then sequences[$2]
        else (select sequence from ({self._candidates(["sequence"])}) as walked offset $3 - 1)
    end,
    case when largest > $7 then sizes end
from (
    select
        coalesce(string_agg(payload, ',') filter (where bytes <= $7), '') as texts,
        coalesce(max(bytes), 0) as largest,
        array_agg(bytes) as sizes,
        array_agg(sequence) as sequences
    from (
        select sequence, payload, octet_length(payload) as bytes
        from ({self._candidates(self.columns)}) as candidate
        where {" and ".join([_NOT_VOIDED, *met])}
        limit $2 + 1
    ) as walked
) as page"""

    def _lead(self) -> str:
        """The number of the rarest condition: its places are the farthest apart, or end soon."""
        reaches = "\n        union all ".join(
            f"select {number}, {self.nearest}({', '.join(map(self._reach, condition))})"
            for number, condition in enumerate(self.conditions)
        )
        return f"""with lead as materialized (
    select number
    from (
        {reaches}
    ) as condition (number, reach)
    order by reach {self.farthest} nulls first, number
    limit 1
)
"""

    def _reach(self, each: _Walked) -> str:
        ahead = self._range(each, _AHEAD, ["sequence"])
        return f"(select sequence from ({ahead}) as ahead offset {_AHEAD - 1})"

    def _candidates(self, columns: Sequence[str]) -> str:
        """The first statements of the condition that leads, as many as may be examined."""
        if not self.conditions:
            return f"""
    select {", ".join(columns)} from statement
    where partner_id = $1 and sequence >= $5 and sequence < $6
    order by sequence {self.direction}
    limit $3"""
        branches = [self._branch(number, columns) for number in range(len(self.conditions))]
        return "\n    union all".join(branches)

    def _branch(self, number: int, columns: Sequence[str]) -> str:
        ranges = self.conditions[number]
        guard = f"where {self._leads(number)}" if self.several else ""
        walks = " union all ".join(f"({self._walk(each, columns)})" for each in ranges)
        once = "distinct on (sequence) " if len(ranges) > 1 else ""
        return f"""
    (select {once}{", ".join(columns)}
    from ({walks}) as walked
    {guard}
    order by sequence {self.direction}
    limit $3)"""

    def _walk(self, each: _Walked, columns: Sequence[str]) -> str:
        """The partner's statements in a range; those that are linked are looked up by place."""
        if each.table == "statement" or columns == ["sequence"]:
            return self._range(each, "$3", columns)
        return f"""
        select {", ".join(columns)}
        from ({self._range(each, "$3", ["sequence"])}) as linked
        cross join lateral (
            select {", ".join(columns[1:])} from statement
            where partner_id = $1 and sequence between linked.sequence and linked.sequence
            order by sequence
            offset 0
        ) as statement
        order by sequence {self.direction}"""

    def _range(self, each: _Walked, limit: int | str, columns: Sequence[str]) -> str:
        column, value = each.column, each.value
        order = f"{column} {self.direction}, sequence {self.direction}"
        return f"""
        select {", ".join(columns)}
        from (
            select {", ".join(dict.fromkeys([column, *columns]))} from {each.table}
            where partner_id = $1 and {column} is not null
                and ({column}, sequence) >= ({value}, $5) and ({column}, sequence) < ({value}, $6)
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
    """Whether a statement met on the way is in this range too: no link is sought that cannot be."""
    if each.table == "statement":
        return f"coalesce({each.column} = {each.value}, false)"
    may_be = " or ".join(f"{column} is null" for column in each.lacking) or "true"
    return f"""({may_be}) and exists (
        select from index_entry
        where partner_id = $1 and key = {each.value} and sequence = candidate.sequence
        offset 0)"""


# Most partners have voided nothing: that is asked once.
_NOT_VOIDED = """(not (select exists (
            select from statement_reference where partner_id = $1 and voids))
        or not exists (
            select from statement_reference
            where partner_id = $1 and target_id = candidate.statement_id and voids
            offset 0)
        or verb_key = $4)"""
