-- How insert.sql and insert_all.sql begin: the given statements, completed by the time of storing.
-- That is taken here, inside the transaction, because the bound of statements/horizon.sql relies on
-- it. Statements that come together are stored a microsecond apart, so that lists keep their order.
with clock as materialized (
    select clock_timestamp() as moment
),
item as (
    select
        given.*,
        clock.moment + given.position * interval '1 microsecond' as stored
    from unnest(
        $2::uuid[], $3::bigint[], $4::bigint[], $5::text[], $6::bytea[], $7::boolean[], $8::text[]
    ) with ordinality as given (
        statement_id, verb_key, authority_key, organization, digest, timed, body, position
    )
    cross join clock
),
told as (
    select
        item.*,
        to_char(item.stored at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as stored_text
    from item
),
complete as (
    select
        $1::integer as partner_id, statement_id, stored, verb_key, authority_key, organization, digest,
        body
            || case when timed then '' else '"timestamp":"' || stored_text || '",' end
            || '"stored":"' || stored_text || '"}' as payload
    from told
),
