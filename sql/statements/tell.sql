-- What statements tell of activities and agents; follows insert_one.sql and insert_all.sql, and is
-- written if all that were given ($13) are `fresh`. Sorted, and each table only when the one before
-- is done, so that writers cannot deadlock. A language map gains languages, extensions gain keys, any
-- other member is replaced by the newer one. Rows that would not change are not written; nor those that
-- take up 1 MiB already, as there is a size beyond which PostgreSQL merges nothing.
defined as (
    insert into activity as known (partner_id, activity_hash, activity_id, definition)
    select $1, item.activity_hash, item.activity_id, item.definition
    from unnest($14::bytea[], $15::text[], $16::jsonb[])
        as item (activity_hash, activity_id, definition)
    where (select count(*) from fresh) = $13
    order by item.activity_hash
    on conflict (partner_id, activity_hash) do update
    set definition = jsonb_set_lax(
        jsonb_set_lax(
            jsonb_set_lax(
                known.definition || excluded.definition,
                '{name}', (known.definition -> 'name') || (excluded.definition -> 'name'),
                null_value_treatment => 'return_target'
            ),
            '{description}',
            (known.definition -> 'description') || (excluded.definition -> 'description'),
            null_value_treatment => 'return_target'
        ),
        '{extensions}', (known.definition -> 'extensions') || (excluded.definition -> 'extensions'),
        null_value_treatment => 'return_target'
    )
    where pg_column_size(known.definition) < 1048576 and known.definition <> jsonb_set_lax(
        jsonb_set_lax(
            jsonb_set_lax(
                known.definition || excluded.definition,
                '{name}', (known.definition -> 'name') || (excluded.definition -> 'name'),
                null_value_treatment => 'return_target'
            ),
            '{description}',
            (known.definition -> 'description') || (excluded.definition -> 'description'),
            null_value_treatment => 'return_target'
        ),
        '{extensions}', (known.definition -> 'extensions') || (excluded.definition -> 'extensions'),
        null_value_treatment => 'return_target'
    )
    returning activity_hash
),
named as (
    insert into agent_name (partner_id, agent_hash, name_hash, name)
    select $1, item.agent_hash, item.name_hash, item.name
    from unnest($17::bytea[], $18::bytea[], $19::text[]) as item (agent_hash, name_hash, name)
    where
        (select count(*) from fresh) = $13
        and (select count(*) from defined) >= 0
    order by item.agent_hash, item.name_hash
    on conflict do nothing
)
