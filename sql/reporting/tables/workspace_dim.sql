-- The workspaces; the group is that of whoever created it.
select
    content_id as workspace_id,
    title as workspace_title,
    technology,
    told.owner_type,
    told.category,
    told.key,
    told.is_featured,
    created.group_id
from content
cross join lateral jsonb_to_record(attributes) as told (
    owner_type text, category text, key text, is_featured boolean
)
left join lateral (
    select learner_group.group_id
    from learning_event
    left join learner_group
        on
            learner_group.partner_id = learning_event.partner_id
            and learner_group.name = learning_event.organization
    where
        learning_event.partner_id = $1
        and learning_event.content_id = content.content_id
        and learning_event.kind = 'created'
    order by learning_event.at, learning_event.statement_id
    limit 1
) as created on true
where partner_id = $1 and type = 'workspace'
