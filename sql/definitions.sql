-- Activity definitions and agent names, merged from all statements. See xAPI 1.0.3 Communication
-- 2.4 and 2.5.

-- name: get_definitions
-- Merged definitions by activity hash, for the projection.
select activity_id, definition from activity
where partner_id = $1 and activity_hash = any($2::bytea[]);

-- name: get_definitions_within_bytes
-- Merged definitions by activity hash, in the order of $2. Once they exceed $3 bytes in sum, the
-- others are null, so that the size of a response is bounded. The size of a definition that is
-- stored without compression is read without the definition.
select activity_id, case when bytes_before < $3 then definition end as definition
from (
    select
        existing.activity_id,
        existing.definition,
        coalesce(
            sum(
                case
                    when pg_column_compression(existing.definition) is null
                    then pg_column_size(existing.definition)
                    else octet_length(existing.definition::text)
                end
            ) over (order by item.ordinal rows between unbounded preceding and 1 preceding),
            0
        ) as bytes_before
    from unnest($2::bytea[]) with ordinality as item (activity_hash, ordinal)
    cross join lateral (
        select activity_id, definition from activity
        where partner_id = $1 and activity_hash between item.activity_hash and item.activity_hash
        order by activity_hash
        limit 1
    ) as existing
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
