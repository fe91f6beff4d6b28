-- The statements from the place $2 to before $3, in the order of their storing.
select
    statement_id::text as id,
    stored_at(place) as stored,
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
where partner_id = $1 and place >= $2 and place < $3
order by place
