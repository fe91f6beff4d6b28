-- The log of statements, which pipes forward.

-- name: read_statement_log
-- The statements of a partner after the sequence $2 and before $3, in order, voided or not: at
-- most $4 are examined and $9 returned, with $10 bytes, but at least one.
--
-- Filters are null, or organizations $5, or index keys with the salt of the partner: verbs $6,
-- objects $7, and keys of index entries for activities $8 and registrations $11. A statement that
-- refers to another one has entries of its verb and activity. Those of the authorities $12 do not
-- match. The first row has no statement; its sequence is the last one examined.
with examined as materialized (
    select sequence, statement_id, verb_key, object_key, authority_key, organization
    from statement
    where partner_id = $1 and sequence > $2 and sequence < $3
    order by sequence
    limit $4
),
matching as materialized (
    select sequence
    from examined
    where ($5::text[] is null or organization = any($5))
        and ($12::bigint[] is null or authority_key <> all($12))
        and (
            $6::bigint[] is null
            or verb_key = any($6)
            or exists (
                select from index_entry
                where partner_id = $1 and key = any($6)
                    and index_entry.sequence = examined.sequence
            )
        )
        and (
            $7::bigint[] is null
            or object_key = any($7)
            or exists (
                select from index_entry
                where partner_id = $1 and key = any($8::bigint[])
                    and index_entry.sequence = examined.sequence
            )
        )
        and (
            $11::bigint[] is null
            or exists (
                select from index_entry
                where partner_id = $1 and key = any($11)
                    and index_entry.sequence = examined.sequence
            )
        )
    order by sequence
    limit $9
),
sized as (
    select
        logged.*,
        sum(octet_length(logged.payload)) over (order by logged.sequence)
            - octet_length(logged.payload) as bytes_before
    from matching
    cross join lateral (
        select sequence, statement_id, organization, payload
        from statement
        where partner_id = $1 and sequence between matching.sequence and matching.sequence
        order by sequence
        offset 0
    ) as logged
)
select max(sequence) as sequence, null as statement_id, null as organization, null as payload
from examined
union all
(
    select sequence, statement_id::text, organization, payload
    from sized
    where bytes_before < $10
    order by sequence
);

-- name: list_letters_among
-- Those of the statements $3 that are dead letters of a pipe.
select item.statement_id::text
from unnest($3::uuid[]) as item (statement_id)
cross join lateral (
    select from dead_letter
    where partner_id = $1 and pipe = $2 and statement_id = item.statement_id
    offset 0
) as matching;
