-- Stores one statement with its links, if its id is new; the same as given.sql and insert.sql do, at
-- half their cost. What it tells may follow: tell.sql.
with clock as materialized (
    select
        (extract(epoch from clock_timestamp()) * 1000000)::bigint << 10 | (pg_backend_pid() & 1023)
            as sequence
),
told as (
    select
        sequence,
        to_char(stored_at(sequence) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as stored_text
    from clock
),
fresh as (
    insert into statement (
        partner_id, statement_id, sequence, verb_key, authority_key, actor_key, object_key,
        organization, digest, payload
    )
    select
        $1, $2, sequence, $3, $4, $5, $6, $7, $8,
        $10
            || case when $9 then '' else '"timestamp":"' || stored_text || '",' end
            || '"stored":"' || stored_text || '"}'
    from told
    on conflict (partner_id, statement_id) do nothing
    returning statement_id, sequence
),
linked as (
    insert into index_entry (partner_id, key, sequence, roles)
    select $1, item.key, fresh.sequence, item.roles
    from fresh
    cross join unnest($11::bigint[], $12::smallint[]) as item (key, roles)
)
