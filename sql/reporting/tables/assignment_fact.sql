-- How each assignee does. Of a team or a group, these are the members on the day that the assignment
-- is due or was deleted, today until then; learners of no group count for where they work.
with assigned as (
    select
        *,
        (least(due_at, deleted_at, now()) at time zone 'UTC')::date as day
    from assignment
    where partner_id = $1
),

assignee as (
    select assignment_id, assignee_id as person_id
    from assigned
    where assignee_type = 'user'
    union
    select assigned.assignment_id, member.person_id
    from assigned
    join team_membership as member
        on member.partner_id = $1 and member.team_id = assigned.assignee_id
    where
        assigned.assignee_type = 'team'
        and member.from_day <= assigned.day
        and (member.to_day is null or assigned.day < member.to_day)
    union
    select assigned.assignment_id, member.person_id
    from assigned
    join group_membership as member
        on member.partner_id = $1 and member.group_id = assigned.assignee_id
    where
        assigned.assignee_type = 'group'
        and member.from_day <= assigned.day
        and (member.to_day is null or assigned.day < member.to_day)
    union
    select assigned.assignment_id, record.person_id
    from assigned
    join learner_group
        on learner_group.partner_id = $1 and learner_group.group_id = assigned.assignee_id
    join learner_record as record
        on record.partner_id = $1 and record.organization = learner_group.name
    where
        assigned.assignee_type = 'group'
        and not exists (
            select from group_membership
            where partner_id = $1 and person_id = record.person_id
        )
)

select
    assigned.group_id,
    assignee.person_id as user_id,
    assigned.assignment_id,
    done.at is not null as is_completed,
    case
        when done.at > assigned.due_at then 'late'
        when done.at is not null then 'completed'
        when assigned.due_at < now() then 'missed'
        else 'in_progress'
    end as completion_status,
    assigned.created_at as assigned_at,
    assigned.due_at,
    done.at as completed_at,
    null::timestamptz as email_sent_at,
    null::timestamptz as reminder_sent_at
from assigned
join assignee on assignee.assignment_id = assigned.assignment_id
cross join lateral (
    select
        case when assigned.type = 'xp' then (
            select min(gain.at)
            from (
                select at, sum(xp) over (order by at, statement_id) as total
                from learning_event
                where
                    partner_id = $1
                    and person_id = assignee.person_id
                    and (assigned.created_at is null or at >= assigned.created_at)
            ) as gain
            where gain.total >= assigned.xp
        ) else (
            select min(completed_at)
            from learner_record
            where
                partner_id = $1
                and person_id = assignee.person_id
                and content_id = assigned.content_id
        ) end as at
) as done
