insert into assignment
    (partner_id, name, type, assignee_type, assignee_id, content_id, group_id, status, xp,
    created_by_id, due_at, created_at, updated_at, deleted_at)
select
    $1, given.assignment, given.assignment_type, given.assignee_type,
    coalesce(assignee.person_id, team.team_id, whole.group_id), content.content_id,
    learner_group.group_id, given.status, given.xp, creator.person_id, given.due_at,
    given.created_at, given.updated_at, given.deleted_at
from jsonb_to_recordset($2::jsonb) as given (
    assignment text, assignment_type text, assignee_type text, assignee text, content_key bigint,
    organization text, status text, xp numeric, created_by text, due_at timestamptz,
    created_at timestamptz, updated_at timestamptz, deleted_at timestamptz
)
join learner_group
    on learner_group.partner_id = $1 and learner_group.name = coalesce(given.organization, '')
left join content on content.partner_id = $1 and content.content_key = given.content_key
left join person as creator on creator.partner_id = $1 and creator.name = given.created_by
left join person as assignee
    on given.assignee_type = 'user' and assignee.partner_id = $1 and assignee.name = given.assignee
left join team
    on given.assignee_type = 'team' and team.partner_id = $1 and team.slug = given.assignee
left join learner_group as whole
    on given.assignee_type = 'group' and whole.partner_id = $1 and whole.name = given.assignee
on conflict (partner_id, name) do update
set
    type = excluded.type,
    assignee_type = excluded.assignee_type,
    assignee_id = excluded.assignee_id,
    content_id = excluded.content_id,
    group_id = excluded.group_id,
    status = excluded.status,
    xp = excluded.xp,
    created_by_id = excluded.created_by_id,
    due_at = excluded.due_at,
    created_at = excluded.created_at,
    updated_at = excluded.updated_at,
    deleted_at = excluded.deleted_at
