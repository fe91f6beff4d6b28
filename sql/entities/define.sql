-- Merges definitions into what is known: a language map gains languages, extensions gain keys, any
-- other member is replaced by the newer one. Rows that would not change are not written. Sorted against deadlocks.
insert into activity as known (partner_id, activity_hash, activity_id, definition)
select $1, item.activity_hash, item.activity_id, item.definition
from unnest($2::bytea[], $3::text[], $4::jsonb[]) as item (activity_hash, activity_id, definition)
order by item.activity_hash
on conflict (partner_id, activity_hash) do update
set definition = known.definition || excluded.definition || jsonb_strip_nulls(jsonb_build_object(
    'name', (known.definition -> 'name') || (excluded.definition -> 'name'),
    'description', (known.definition -> 'description') || (excluded.definition -> 'description'),
    'extensions', (known.definition -> 'extensions') || (excluded.definition -> 'extensions')
))
where known.definition <> known.definition || excluded.definition || jsonb_strip_nulls(
    jsonb_build_object(
        'name', (known.definition -> 'name') || (excluded.definition -> 'name'),
        'description', (known.definition -> 'description') || (excluded.definition -> 'description'),
        'extensions', (known.definition -> 'extensions') || (excluded.definition -> 'extensions')
    )
)
