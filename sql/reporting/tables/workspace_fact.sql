-- Workspaces that somebody created, and what became of them.
select
    (array_agg(event.person_id order by event.at, event.statement_id)
        filter (where event.kind = 'created'))[1] as creator_id,
    event.content_id as workspace_id,
    told.nb_megabytes,
    (count(*) filter (where event.kind in ('published', 'publish_failed')))::integer
        as nb_attempts_to_publish,
    (count(*) filter (where event.kind = 'published'))::integer as nb_times_published_successfully,
    (count(*) filter (where event.kind = 'upvoted'))::integer as nb_upvotes,
    (count(*) filter (where event.kind = 'shared'))::integer as nb_shares,
    min(event.at) filter (where event.kind = 'created') as created_at,
    max(event.at) filter (
        where event.kind in ('created', 'edited', 'integrated', 'published')
    ) as updated_at,
    min(event.at) filter (where event.kind = 'edited') as first_edited_at,
    max(event.at) filter (where event.kind = 'edited') as last_edited_at,
    min(event.at) filter (where event.kind = 'published') as first_published_at,
    max(event.at) filter (where event.kind = 'published') as last_published_at,
    min(event.at) filter (where event.kind = 'integrated') as first_integration_added_at,
    max(event.at) filter (where event.kind = 'integrated') as last_integration_added_at,
    min(event.at) filter (where event.kind = 'upvoted') as first_upvoted_at,
    max(event.at) filter (where event.kind = 'upvoted') as last_upvoted_at,
    (array_agg(event.group_id order by event.at, event.statement_id)
        filter (where event.kind = 'created'))[1] as group_id
from shown_event as event
join content on content.partner_id = event.partner_id and content.content_id = event.content_id
cross join lateral jsonb_to_record(content.attributes) as told (nb_megabytes double precision)
where event.partner_id = $1 and content.type = 'workspace'
group by event.content_id, told.nb_megabytes
having bool_or(event.kind = 'created')
