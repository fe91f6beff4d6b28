"""The page query: SQL for one page of a filtered statement list.

It is the only SQL assembled at run time; `page_sql` holds its parts. A page has one query plan for
every set of predicates, whatever the sizes of the tables:

- One predicate drives the scan: its index ranges are scanned in page order, and every statement
  found is probed against the other predicates. The query chooses the rarest predicate, by the
  distance of its 50th statement.
- A scan ends when the page is full, or after `max_examined` statements. The page then ends early,
  and its cursor continues after the last examined statement.
- The planner has no choice, because it cannot know how often a value occurs. A range is a row
  comparison that only one index can serve in order, `offset 0` keeps a look-up from becoming a
  join, and the sessions of the list pool allow only index scans and nested loops.
- A page is limited in bytes. If a statement is larger than `$7`, the query returns the sizes of all
  statements instead of the texts, and `page_loader` runs it again with a smaller limit.
- Keys are salted per partner (`partner_keys`). Most indexes therefore need no `partner_id`; every
  row is still checked for it.

Example: the statements of one registration, for a credential that reads only its own statements.
Two predicates with one index range each; a predicate with several ranges scans their union with
`select distinct on (sequence)`.

    -- $1 partner_id, $2 limit, $3 max_examined_statements, $4 key of the verb "voided",
    -- $5 lowest sequence, $6 sequence after the highest, $7 max_statement_bytes
    -- $8 index_entry.key
    -- $9 statement.authority_key
    with
    -- The rarest predicate: its 50th statement is the farthest, or missing.
    driving_predicate as materialized (
        select number
        from (
            select 0, greatest(
                (select sequence from (
                    select sequence from (
                        select key, sequence from index_entry
                        where partner_id = $1 and key is not null
                            and (key, sequence) >= ($8, $5)
                            and (key, sequence) < ($8, $6)
                        order by key desc, sequence desc
                        limit 50
                    ) as index_range
                    where key = $8
                    order by key desc, sequence desc
                ) as probe offset 49)
            )
            union all
            select 1, greatest(
                (select sequence from (
                    select sequence from (
                        select authority_key, sequence from statement
                        where partner_id = $1 and authority_key is not null
                            and (authority_key, sequence) >= ($9, $5)
                            and (authority_key, sequence) < ($9, $6)
                        order by authority_key desc, sequence desc
                        limit 50
                    ) as index_range
                    where authority_key = $9
                    order by authority_key desc, sequence desc
                ) as probe offset 49)
            )
        ) as predicate (number, probe)
        order by probe asc nulls first, number
        limit 1
    ),
    -- Statements of the driving predicate in page order, up to the maximum of examined ones.
    candidate as not materialized (
        (
            select sequence, statement_id, authority_key, verb_key, payload from (
                select sequence, statement_id, authority_key, verb_key, payload from (
                    select sequence from (
                        select key, sequence from index_entry
                        where partner_id = $1 and key is not null
                            and (key, sequence) >= ($8, $5)
                            and (key, sequence) < ($8, $6)
                        order by key desc, sequence desc
                        limit $3
                    ) as index_range
                    where key = $8
                    order by key desc, sequence desc
                ) as entry
                cross join lateral (
                    select statement_id, authority_key, verb_key, payload from statement
                    where partner_id = $1 and sequence between entry.sequence and entry.sequence
                    order by sequence
                    offset 0
                ) as statement
                order by sequence desc
            ) as scan
            where (select number from driving_predicate) = 0
            order by sequence desc
            limit $3
        )
        union all
        (
            select sequence, statement_id, authority_key, verb_key, payload from (
                select sequence, statement_id, authority_key, verb_key, payload from (
                    select authority_key, sequence, statement_id, verb_key, payload from statement
                    where partner_id = $1 and authority_key is not null
                        and (authority_key, sequence) >= ($9, $5)
                        and (authority_key, sequence) < ($9, $6)
                    order by authority_key desc, sequence desc
                    limit $3
                ) as index_range
                where authority_key = $9
                order by authority_key desc, sequence desc
            ) as scan
            where (select number from driving_predicate) = 1
            order by sequence desc
            limit $3
        )
    ),
    -- The same scan without payloads; it runs only if a page is not full.
    examined as not materialized (
        (
            select sequence from (
                select sequence from (
                    select key, sequence from index_entry
                    where partner_id = $1 and key is not null
                        and (key, sequence) >= ($8, $5)
                        and (key, sequence) < ($8, $6)
                    order by key desc, sequence desc
                    limit $3
                ) as index_range
                where key = $8
                order by key desc, sequence desc
            ) as scan
            where (select number from driving_predicate) = 0
            order by sequence desc
            limit $3
        )
        union all
        (
            select sequence from (
                select sequence from (
                    select authority_key, sequence from statement
                    where partner_id = $1 and authority_key is not null
                        and (authority_key, sequence) >= ($9, $5)
                        and (authority_key, sequence) < ($9, $6)
                    order by authority_key desc, sequence desc
                    limit $3
                ) as index_range
                where authority_key = $9
                order by authority_key desc, sequence desc
            ) as scan
            where (select number from driving_predicate) = 1
            order by sequence desc
            limit $3
        )
    ),
    -- Candidates that match every predicate; limit + 1 of them if the list continues.
    matching as not materialized (
        select sequence, payload, octet_length(payload) as bytes
        from candidate
        where
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
            )
            and (
                (select number from driving_predicate) = 0
                or exists (
                    select from index_entry
                    where partner_id = $1 and key = $8 and sequence = candidate.sequence
                    offset 0
                )
            )
            and (
                (select number from driving_predicate) = 1
                or coalesce(authority_key = $9, false)
            )
        limit $2 + 1
    ),
    -- The page as one row. No node sorts: the aggregates keep the order of the scan.
    page as not materialized (
        select
            coalesce(string_agg(payload, ',') filter (where bytes <= $7), '') as texts,
            coalesce(max(bytes), 0) as max_bytes,
            array_agg(bytes) as sizes,
            array_agg(sequence) as sequences
        from matching
    )
    select
        case when max_bytes <= $7 then
            substring(textsend(texts) for octet_length(texts) - coalesce(sizes[$2 + 1] + 1, 0))
        end as statements,
        case
            when sizes[$2 + 1] is not null then sequences[$2]
            else (select sequence from examined offset $3 - 1)
        end as last_sequence,
        case when max_bytes > $7 then sizes end as statement_sizes
    from page

Its plan, by EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) on PostgreSQL 18 with 100,000 statements: 200
are of the registration, 67 of these of the credential. Abridged to scans, joins and their
conditions; `(InitPlan n)` reads `driving_predicate`.

    Subquery Scan on page (rows=1)
      CTE driving_predicate
        ->  Sort (rows=1)
              Sort Key: (GREATEST((InitPlan 1).col1)) NULLS FIRST, (0)
              InitPlan 1
                ->  Index Only Scan Backward using index_entry_pkey on index_entry (rows=50)
                      Index Cond: ((partner_id = $1) AND (ROW(key, sequence) >= ROW($8, $5))
                        AND (ROW(key, sequence) < ROW($8, $6)))
              InitPlan 2
                ->  Index Scan Backward using statement_by_authority on statement (rows=50)
                      Index Cond: ((ROW(authority_key, sequence) >= ROW($9, $5))
                        AND (ROW(authority_key, sequence) < ROW($9, $6)))
                      Filter: (partner_id = $1)
      InitPlan 6
        ->  Append (rows=200)
              ->  Index Only Scan Backward using index_entry_pkey on index_entry (rows=200)
              ->  Index Scan Backward using statement_by_authority on statement (never executed)
      ->  Aggregate (rows=1)
            ->  Limit (rows=67)
                  InitPlan 7
                    ->  Index Only Scan using statement_reference_voiding on
                        statement_reference (rows=0)
                  ->  Append (rows=67)
                        ->  Subquery Scan on "*SELECT* 1" (rows=67)
                              Filter: ((((InitPlan 12).col1 = 1)
                                  OR COALESCE(("*SELECT* 1".authority_key = $9), false))
                                AND (((InitPlan 10).col1 = 0) OR EXISTS(SubPlan 11))
                                AND ((NOT (InitPlan 8).col1) OR (NOT EXISTS(SubPlan 9))
                                  OR ("*SELECT* 1".verb_key = $4)))
                              Rows Removed by Filter: 133
                              ->  Limit (rows=200)
                                    One-Time Filter: ((InitPlan 13).col1 = 0)
                                    ->  Nested Loop (rows=200)
                                          ->  Index Only Scan Backward using index_entry_pkey on
                                              index_entry (rows=200)
                                          ->  Index Scan using statement_by_sequence on statement
                                              (rows=1 loops=200)
                              SubPlan 11
                                ->  Index Only Scan using index_entry_pkey on index_entry
                                    (never executed)
                              SubPlan 9
                                ->  Index Only Scan using statement_reference_voiding on
                                    statement_reference (never executed)
                        ->  Subquery Scan on "*SELECT* 2" (rows=0)
                              ->  Limit (rows=0)
                                    One-Time Filter: ((InitPlan 14).col1 = 1)
                                    ->  Index Scan Backward using statement_by_authority on
                                        statement (never executed)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import chain, count
from typing import Any

from lrs.store.statements.filters import Column, IndexRange, StatementFilter
from lrs.store.statements.page_sql import FIRST_VALUE, PageSQL, Range
from lrs.store.statements.partner_keys import key_salt
from lrs.xapi import index_keys

NO_BYTE_LIMIT = 2**31 - 1


@dataclass(frozen=True, slots=True)
class PageLimits:
    """`max_bytes` of the statements of a page, and of the definitions or names that are added.

    `max_examined_statements` is the number after which a page ends early.
    """

    max_bytes: int = 8_388_608
    max_examined_statements: int = 10_000


PAGE_LIMITS = PageLimits()


def build_page_query(
    partner_id: int,
    statement_filter: StatementFilter,
    max_statement_bytes: int = NO_BYTE_LIMIT,
    *,
    max_examined: int = PAGE_LIMITS.max_examined_statements,
) -> tuple[str, list[Any]]:
    """The SQL and its arguments. The query returns one row with three columns.

    `statements`: JSON texts in UTF-8, separated by commas; null if one of them is larger than
    `max_statement_bytes`. `last_sequence`: the end of the page, null at the end of the list.
    `statement_sizes`: the sizes in bytes if `statements` is null, else null.
    """
    predicates = statement_filter.predicates
    shape = tuple(
        tuple((index_range.column, index_range.null_columns) for index_range in predicate)
        for predicate in predicates
    )
    salt = key_salt(partner_id)
    return _sql(shape, statement_filter.ascending), [
        partner_id,
        statement_filter.limit,
        max_examined,
        index_keys.VOIDED_KEY ^ salt,
        *statement_filter.sequence_range(),
        max_statement_bytes,
        *(_stored_value(index_range, salt) for index_range in chain.from_iterable(predicates)),
    ]


def _stored_value(index_range: IndexRange, salt: int) -> int | str:
    value = index_range.value
    return value if isinstance(value, str) else value ^ salt


@cache
def _sql(shape: tuple[tuple[tuple[Column, tuple[Column, ...]], ...], ...], ascending: bool) -> str:
    """The query for predicates of these columns and null columns; it has no literal values."""
    numbers = count(FIRST_VALUE)
    predicates = [
        [Range(column, null_columns, f"${next(numbers)}") for column, null_columns in predicate]
        for predicate in shape
    ]
    return PageSQL(predicates, ascending).text()
