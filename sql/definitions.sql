-- Activity definitions and agent names, merged from all statements. See xAPI 1.0.3 Communication
-- 2.4 and 2.5.

-- name: get_definitions
-- Merged definitions by activity hash, for the projection.
select activity_id, definition from activity
where partner_id = $1 and activity_hash = any($2::bytea[]);

-- name: get_definitions_within_bytes
-- Merged definitions by activity hash. Once they exceed $3 bytes in sum, the others are null, so
-- that the size of a response is bounded.
select activity_id, case when bytes_before < $3 then definition end as definition
from (
    select
        activity_id,
        definition,
        coalesce(
            sum(octet_length(definition::text)) over (
                rows between unbounded preceding and 1 preceding
            ),
            0
        ) as bytes_before
    from activity
    where partner_id = $1 and activity_hash = any($2::bytea[])
) as existing;

-- name: list_agent_names
-- Names of an agent in order, until they exceed $3 bytes in sum.
select name
from (
    select
        name,
        coalesce(
            sum(octet_length(name)) over (
                order by name rows between unbounded preceding and 1 preceding
            ),
            0
        ) as bytes_before
    from agent_name
    where partner_id = $1 and agent_hash = $2
) as existing
where bytes_before < $3
order by name;
