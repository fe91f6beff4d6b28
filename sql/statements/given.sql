-- How insert.sql and insert_all.sql begin: the given statements, completed by the time of storing.
-- That is taken here, inside the transaction, because the bound of statements/horizon.sql relies on
-- it. Statements that come together are stored a microsecond apart, so that lists keep their order.
-- Two writers are told apart by the low bits of a place. If even those are the same, the later one
-- fails by statement_by_place, and does all of it once more.
with clock as materialized (
    select (extract(epoch from clock_timestamp()) * 1000000)::bigint as micros
),
item as (
    select
        given.*,
        (clock.micros + given.position) << 10 | (pg_backend_pid() & 1023) as sequence
    from unnest(
        $2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[],
        $8::bytea[], $9::boolean[], $10::text[]
    ) with ordinality as given (
        statement_id, verb_key, authority_key, actor_key, object_key, organization, digest, timed,
        body, position
    )
    cross join clock
),
told as (
    select
        item.*,
        to_char(stored_at(item.sequence) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
            as stored_text
    from item
),
complete as (
    select
        $1::integer as partner_id, statement_id, sequence, verb_key, authority_key, actor_key,
        object_key, organization, digest,
        body
            || case when timed then '' else '"timestamp":"' || stored_text || '",' end
            || '"stored":"' || stored_text || '"}' as payload
    from told
),
