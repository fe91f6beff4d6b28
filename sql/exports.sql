-- Exports of statements and of changed days. The report tables themselves are in report_*.sql.

-- name: get_last_change
-- When facts of the partner last changed.
select max(changed_at) as changed_at from changed_day where partner_id = $1;

-- name: list_changed_days
-- The days whose facts changed after $2: what an incremental export must replace.
select day from changed_day
where partner_id = $1 and changed_at > $2
order by day;

-- name: export_statements
-- Statements with sequence from $2 to before $3, as columns, in the order in which they were
-- stored.
select
    statement_id::text as id,
    stored_at(sequence) as stored,
    parsed.payload ->> 'timestamp' as timestamp,
    organization,
    (parsed.payload -> 'actor')::text as actor,
    parsed.payload -> 'verb' ->> 'id' as verb,
    (parsed.payload -> 'object')::text as object,
    (parsed.payload -> 'result')::text as result,
    (parsed.payload -> 'context')::text as context,
    statement.payload
from statement
cross join lateral (select statement.payload::json as payload) as parsed
where partner_id = $1 and sequence >= $2 and sequence < $3
order by sequence;

-- name: export_payloads
-- Statements with sequence from $2 to before $3, one JSON text per line. Line breaks and tabs can
-- only be white space between tokens, so that they can be replaced.
select replace(replace(replace(payload, E'\n', ' '), E'\r', ' '), E'\t', ' ') as payload
from statement
where partner_id = $1 and sequence >= $2 and sequence < $3
order by sequence;
