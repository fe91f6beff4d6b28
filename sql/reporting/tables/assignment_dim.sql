-- The assignments, as they were imported.
select
    assignment.group_id,
    assignment.assignment_id,
    assignment.created_by_id,
    assignment.type as assignment_type,
    content.title as assignment_title,
    assignment.status as assignment_status,
    assignment.assignee_type,
    assignment.xp::double precision as assignment_xp,
    content.technology,
    content.topic,
    assignment.due_at,
    assignment.created_at,
    assignment.updated_at,
    assignment.deleted_at
from assignment
left join content
    on content.partner_id = assignment.partner_id and content.content_id = assignment.content_id
where assignment.partner_id = $1
