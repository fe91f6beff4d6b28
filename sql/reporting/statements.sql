-- The statements stored after $2, up to $3, in the order of their storing.
select
    statement_id::text as id,
    stored,
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
where partner_id = $1 and stored > $2 and stored <= $3
order by stored, statement_id
