"""Builds the SQL of a page; `page_query` shows an example of the result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import indent

from lrs.store.statements.filters import Column

_PROBE_DISTANCE = 50
"""The driving predicate is chosen by the sequence of its 50th statement."""

FIRST_VALUE = 8
_PARAMETERS = """\
-- $1 partner_id, $2 limit, $3 max_examined_statements, $4 key of the verb "voided",
-- $5 lowest sequence, $6 sequence after the highest, $7 max_statement_bytes"""


@dataclass(frozen=True, slots=True)
class Range:
    """An index range whose value is a parameter of the query, such as "$8"."""

    column: Column
    null_columns: tuple[Column, ...]
    parameter: str

    @property
    def table(self) -> str:
        return "index_entry" if self.column == "key" else "statement"


class PageSQL:
    """The SQL of a page: one method per common table expression or part of one."""

    def __init__(self, predicates: Sequence[Sequence[Range]], ascending: bool) -> None:
        self.predicates = predicates
        self.is_choice = len(predicates) > 1
        self.direction = "asc" if ascending else "desc"
        self.nearest, self.farthest = ("least", "desc") if ascending else ("greatest", "asc")
        probed = {
            column
            for predicate in predicates
            for index_range in predicate
            for column in (index_range.column, *index_range.null_columns)
            if self.is_choice and column != "key"
        }
        self.columns = ("sequence", "statement_id", *sorted(probed | {"verb_key"}), "payload")

    def text(self) -> str:
        """The whole query."""
        expressions = [
            _expression("candidate", _CANDIDATE, self.scans(self.columns)),
            _expression("examined", _EXAMINED, self.scans(["sequence"])),
            _expression("matching", _MATCHING, self.matching()),
            _expression("page", _AGGREGATED, _PAGE),
        ]
        if self.is_choice:
            sql = self.driving_predicate()
            expressions.insert(0, _expression("driving_predicate", _DRIVING, sql, once=True))
        with_list = ",\n".join(expressions)
        values = "".join(
            f"\n-- {index_range.parameter} {index_range.table}.{index_range.column}"
            for predicate in self.predicates
            for index_range in predicate
        )
        return f"{_PARAMETERS}{values}\nwith\n{with_list}\n{_RESULT}"

    def driving_predicate(self) -> str:
        """The number of the predicate that drives the scan."""
        probes = "\nunion all\n".join(
            f"select {number}, {self.nearest}(\n{_in(self.probes(predicate))}\n)"
            for number, predicate in enumerate(self.predicates)
        )
        return f"""\
select number
from (
{_in(probes)}
) as predicate (number, probe)
order by probe {self.farthest} nulls first, number
limit 1"""

    def probes(self, predicate: Sequence[Range]) -> str:
        return ",\n".join(
            f"(select sequence from (\n"
            f"{_in(self.index_range(index_range, ['sequence'], _PROBE_DISTANCE))}\n"
            f") as probe offset {_PROBE_DISTANCE - 1})"
            for index_range in predicate
        )

    def scans(self, columns: Sequence[str]) -> str:
        """The union of the predicates' scans, of which one returns rows."""
        if not self.predicates:
            return f"""\
select {", ".join(columns)} from statement
where partner_id = $1 and sequence >= $5 and sequence < $6
order by sequence {self.direction}
limit $3"""
        scans = (self.predicate_scan(number, columns) for number in range(len(self.predicates)))
        return "\nunion all\n".join(f"(\n{_in(scan)}\n)" for scan in scans)

    def predicate_scan(self, number: int, columns: Sequence[str]) -> str:
        """The union of a predicate's ranges; empty if another predicate drives the scan."""
        predicate = self.predicates[number]
        scans = [self.range_scan(index_range, columns) for index_range in predicate]
        if len(scans) > 1:
            scans = [f"(\n{_in(scan)}\n)" for scan in scans]
        distinct = "distinct on (sequence) " if len(scans) > 1 else ""
        union_all = "\nunion all\n"
        guard = f"\nwhere {_drives(number)}" if self.is_choice else ""
        return f"""\
select {distinct}{", ".join(columns)} from (
{_in(union_all.join(scans))}
) as scan{guard}
order by sequence {self.direction}
limit $3"""

    def range_scan(self, index_range: Range, columns: Sequence[str]) -> str:
        """The statements of a range; those of index entries are read by sequence."""
        if index_range.table == "statement" or columns == ["sequence"]:
            return self.index_range(index_range, columns, "$3")
        return f"""\
select {", ".join(columns)} from (
{_in(self.index_range(index_range, ["sequence"], "$3"))}
) as entry
cross join lateral (
    select {", ".join(columns[1:])} from statement
    where partner_id = $1 and sequence between entry.sequence and entry.sequence
    order by sequence
    offset 0
) as statement
order by sequence {self.direction}"""

    def index_range(self, index_range: Range, columns: Sequence[str], limit: int | str) -> str:
        """The rows of one range, by a row comparison that only one index can serve in order."""
        column, value = index_range.column, index_range.parameter
        order = f"{column} {self.direction}, sequence {self.direction}"
        return f"""\
select {", ".join(columns)} from (
    select {", ".join(dict.fromkeys([column, *columns]))} from {index_range.table}
    where partner_id = $1 and {column} is not null
        and ({column}, sequence) >= ({value}, $5)
        and ({column}, sequence) < ({value}, $6)
    order by {order}
    limit {limit}
) as index_range
where {column} = {value}
order by {order}"""

    def matching(self) -> str:
        """The candidates that match every predicate and are not voided."""
        conditions = [_NOT_VOIDED]
        if self.is_choice:
            conditions += (self.probe(number) for number in range(len(self.predicates)))
        and_ = "\nand "
        return f"""\
select sequence, payload, octet_length(payload) as bytes
from candidate
where
{_in(and_.join(conditions))}
limit $2 + 1"""

    def probe(self, number: int) -> str:
        """Whether a candidate matches the predicate; it does if the predicate drives the scan."""
        probes = [_drives(number), *map(_range_probe, self.predicates[number])]
        alternatives = "\nor ".join(probes)
        return f"(\n{_in(alternatives)}\n)"


def _expression(name: str, comment: str, sql: str, *, once: bool = False) -> str:
    """A common table expression, evaluated `once` or inlined into the query."""
    return f"-- {comment}\n{name} as {'' if once else 'not '}materialized (\n{_in(sql)}\n)"


def _drives(number: int) -> str:
    return f"(select number from driving_predicate) = {number}"


def _range_probe(index_range: Range) -> str:
    """Whether a candidate is in the range; no index entry is looked up where there can be none."""
    if index_range.table == "statement":
        return f"coalesce({index_range.column} = {index_range.parameter}, false)"
    lookup = f"""\
exists (
    select from index_entry
    where partner_id = $1 and key = {index_range.parameter} and sequence = candidate.sequence
    offset 0
)"""
    if not index_range.null_columns:
        return lookup
    can_exist = " or ".join(f"{column} is null" for column in index_range.null_columns)
    return f"({can_exist}) and {lookup}"


def _in(sql: str) -> str:
    return indent(sql, "    ")


_DRIVING = "The rarest predicate: its 50th statement is the farthest, or missing."
_CANDIDATE = (
    "Statements of the driving predicate in page order, up to the maximum of examined ones."
)
_EXAMINED = "The same scan without payloads; it runs only if a page is not full."
_MATCHING = "Candidates that match every predicate; limit + 1 of them if the list continues."
_AGGREGATED = "The page as one row. No node sorts: the aggregates keep the order of the scan."

# The first subquery is evaluated once per page; most partners have voided no statement.
_NOT_VOIDED = """\
(
    not (
        select exists (select from statement_reference where partner_id = $1 and voids)
    )
    or not exists (
        select from statement_reference
        where partner_id = $1 and target_id = candidate.statement_id and voids
        offset 0
    )
    or verb_key = $4
)"""

_PAGE = """\
select
    coalesce(string_agg(payload, ',') filter (where bytes <= $7), '') as texts,
    coalesce(max(bytes), 0) as max_bytes,
    array_agg(bytes) as sizes,
    array_agg(sequence) as sequences
from matching"""

# The text ends before the row after the page. A page that is not full ends with the last examined
# statement, if the maximum was examined, or with the list. octet_length does not read a large
# payload. textsend converts the text to UTF-8 bytes, which asyncpg returns undecoded.
_RESULT = """\
select
    case when max_bytes <= $7 then
        substring(textsend(texts) for octet_length(texts) - coalesce(sizes[$2 + 1] + 1, 0))
    end as statements,
    case
        when sizes[$2 + 1] is not null then sequences[$2]
        else (select sequence from examined offset $3 - 1)
    end as last_sequence,
    case when max_bytes > $7 then sizes end as statement_sizes
from page"""
