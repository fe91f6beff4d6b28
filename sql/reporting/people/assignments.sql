select
    assignment.name as assignment, assignment.type as assignment_type, assignment.assignee_type,
    coalesce(assignee.name, team.slug, whole.name) as assignee, content.activity_id as content,
    nullif(learner_group.name, '') as organization, assignment.status, assignment.xp,
    creator.name as created_by, assignment.due_at, assignment.created_at, assignment.updated_at,
    assignment.deleted_at
from assignment
join learner_group using (partner_id, group_id)
left join content using (partner_id, content_id)
left join person as creator
    on creator.partner_id = $1 and creator.person_id = assignment.created_by_id
left join person as assignee
    on assignment.assignee_type = 'user' and assignee.partner_id = $1
    and assignee.person_id = assignment.assignee_id
left join team
    on assignment.assignee_type = 'team' and team.partner_id = $1
    and team.team_id = assignment.assignee_id
left join learner_group as whole
    on assignment.assignee_type = 'group' and whole.partner_id = $1
    and whole.group_id = assignment.assignee_id
where assignment.partner_id = $1 and assignment.name = any($2::text[])
