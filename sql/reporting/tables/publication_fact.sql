-- Views of workspaces that were published by then, by day, and by whether who created it looked.
with published as (
    select
        content_id,
        min(at) filter (where kind = 'published') as published_at,
        (array_agg(person_id order by at, statement_id) filter (where kind = 'created'))[1]
            as creator_id
    from learning_event
    where
        partner_id = $1
        and content_id in (select content_id from content where partner_id = $1 and type = 'workspace')
    group by content_id
)

select
    event.group_id,
    published.creator_id,
    event.content_id as workspace_id,
    event.day as viewed_at,
    count(distinct event.person_id)::integer as nb_viewers,
    (sum(event.milliseconds) filter (where not event.total))::double precision / 1000 as nb_seconds,
    case when event.person_id = published.creator_id then 'creator' else 'viewer' end as viewer_type
from shown_event as event
join published on published.content_id = event.content_id and published.published_at <= event.at
where event.partner_id = $1 and event.kind = 'viewed'
group by
    event.group_id, published.creator_id, event.content_id, event.day, viewer_type
