-- The vendor's fact tables, one query each; see docs/report-tables.md. Names of tables and columns
-- are a public contract. $1 is the partner.

-- name: assessment_fact
-- Results of assessments per learner and day. The vendor leaves the limits of score groups open but
-- for "< 70" and "> 160"; a limit belongs to the group above, as 70 does.
select
    daily_fact.person_id as user_id,
    daily_fact.content_id as assessment_id,
    daily_fact.date_id,
    daily_fact.started_at,
    daily_fact.completed_at,
    daily_fact.raw_score as score,
    case
        when daily_fact.raw_score < 70 then 'Novice'
        when daily_fact.raw_score < 100 then 'Intermediate Lower'
        when daily_fact.raw_score < 130 then 'Intermediate'
        when daily_fact.raw_score <= 160 then 'Intermediate Upper'
        when daily_fact.raw_score > 160 then 'Advanced'
    end as score_group,
    daily_fact.percentile,
    daily_fact.time_spent
from daily_fact
join content_item
    on content_item.partner_id = daily_fact.partner_id
    and content_item.content_id = daily_fact.content_id
where daily_fact.partner_id = $1 and content_item.type = 'assessment';

-- name: assignment_fact
-- The progress of each assignee. The assignees of a team or group are its members on the day on
-- which the assignment is due or deleted, until then today; learners in no group count for the
-- organization of their records.
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
) as done;

-- name: certification_fact
-- Attempts at certifications. An attempt is a registration; without one, each `registered` event
-- begins another attempt. Exams and case studies are the assessments and projects whose parent is
-- the certification. Columns of the vendor's first iteration have no source.
with attribute as (
    select
        event.group_id,
        event.person_id,
        coalesce(certification.content_id, event.content_id) as certification_id,
        event.registration,
        event.at,
        event.statement_id,
        event.kind,
        content_item.type,
        event.kind = 'passed' or (event.kind = 'completed' and event.success) as passed
    from reportable_event as event
    join content_item
        on content_item.partner_id = event.partner_id and content_item.content_id = event.content_id
    left join content_item as certification
        on
            certification.partner_id = content_item.partner_id
            and certification.content_key = content_item.parent_key
            and certification.type = 'certification'
    where
        event.partner_id = $1
        and (
            content_item.type = 'certification'
            or (content_item.type in ('assessment', 'project')
                and certification.content_id is not null)
        )
),
attempted as (
    select
        *,
        coalesce(
            registration::text,
            (count(*) filter (where kind = 'registered' and type = 'certification') over (
                partition by person_id, certification_id, registration order by at, statement_id
            ))::text
        ) as attempt
    from attribute
)
select
    max(group_id) as group_id,
    concat_ws('-', person_id, certification_id, attempt) as user_certification_id,
    person_id as user_id,
    certification_id,
    min(at) filter (where type = 'certification' and kind = 'registered') as registered_at,
    null::timestamptz as expired_at,
    null::timestamptz as assessments_passed_at,
    null::timestamptz as coding_challenge_passed_at,
    min(at) filter (where type = 'assessment' and kind = 'started') as first_exam_started_at,
    min(at) filter (where type = 'assessment' and kind = 'completed') as first_exam_completed_at,
    max(at) filter (where type = 'assessment' and passed) as exam_last_passed_at,
    null::timestamptz as case_study_ready_at,
    min(at) filter (where type = 'project' and kind = 'completed') as first_case_study_submitted_at,
    max(at) filter (where type = 'project' and kind = 'completed') as last_case_study_submitted_at,
    min(at) filter (where type = 'certification' and kind = 'completed') as certificate_granted_at,
    null::boolean as is_passed_assessments,
    null::boolean as is_passed_challenges,
    null::boolean as is_passed_exams
from attempted
group by person_id, certification_id, attempt;

-- name: chapter_fact
-- Work on chapters per learner and day. A deleted chapter has the id -1, so that a learner can have
-- that id twice a day.
select
    daily_fact.person_id as user_id,
    case when content_item.deleted_at is null then content_item.content_id else -1 end
        as chapter_id,
    daily_fact.date_id,
    daily_fact.started_at,
    daily_fact.completed_at,
    daily_fact.time_spent,
    daily_fact.xp
from daily_fact
join content_item
    on content_item.partner_id = daily_fact.partner_id
    and content_item.content_id = daily_fact.content_id
where daily_fact.partner_id = $1 and content_item.type = 'chapter';

-- name: course_fact
-- Work on courses and their parts per learner and day. A deleted course has the id -1, so that a
-- learner can have that id twice a day. A course that is a part of another one counts there.
select
    daily_fact.person_id as user_id,
    case when content_item.deleted_at is null then content_item.content_id else -1 end
        as course_id,
    daily_fact.date_id,
    coalesce(daily_fact.course_started_at, daily_fact.started_at) as started_at,
    daily_fact.completed_at,
    coalesce(daily_fact.course_time_spent, daily_fact.time_spent) as time_spent,
    coalesce(daily_fact.course_xp, daily_fact.xp) as xp
from daily_fact
join content_item
    on content_item.partner_id = daily_fact.partner_id
    and content_item.content_id = daily_fact.content_id
where
    daily_fact.partner_id = $1
    and content_item.type = 'course'
    and content_item.course_id is null;

-- name: exercise_fact
-- Work on exercises per learner and day. A deleted exercise has the id -1, so that a learner can
-- have that id twice a day.
select
    daily_fact.person_id as user_id,
    case when content_item.deleted_at is null then content_item.content_id else -1 end
        as exercise_id,
    daily_fact.date_id,
    daily_fact.started_at,
    daily_fact.completed_at,
    daily_fact.time_spent,
    daily_fact.xp
from daily_fact
join content_item
    on content_item.partner_id = daily_fact.partner_id
    and content_item.content_id = daily_fact.content_id
where daily_fact.partner_id = $1 and content_item.type = 'exercise';

-- name: practice_fact
-- Work on practices per learner and day.
select
    daily_fact.person_id as user_id,
    daily_fact.content_id as practice_id,
    daily_fact.date_id,
    daily_fact.started_at,
    daily_fact.completed_at,
    daily_fact.is_mobile,
    daily_fact.time_spent,
    daily_fact.xp
from daily_fact
join content_item
    on content_item.partner_id = daily_fact.partner_id
    and content_item.content_id = daily_fact.content_id
where daily_fact.partner_id = $1 and content_item.type = 'practice';

-- name: project_fact
-- Work on projects per learner and day.
select
    daily_fact.person_id as user_id,
    daily_fact.content_id as project_id,
    daily_fact.date_id,
    daily_fact.started_at,
    daily_fact.completed_at,
    daily_fact.time_spent,
    daily_fact.xp
from daily_fact
join content_item
    on content_item.partner_id = daily_fact.partner_id
    and content_item.content_id = daily_fact.content_id
where daily_fact.partner_id = $1 and content_item.type = 'project';

-- name: publication_fact
-- Views of published workspaces per day, and whether the viewer is the creator.
with published as (
    select
        content_id,
        min(at) filter (where kind = 'published') as published_at,
        (array_agg(person_id order by at, statement_id) filter (where kind = 'created'))[1]
            as creator_id
    from learning_event
    where
        partner_id = $1
        and content_id in (
            select content_id from content_item where partner_id = $1 and type = 'workspace'
        )
    group by content_id
)
select
    event.group_id,
    published.creator_id,
    event.content_id as workspace_id,
    event.day as viewed_at,
    count(distinct event.person_id)::integer as nb_viewers,
    (sum(event.milliseconds) filter (where not event.is_cumulative))::double precision / 1000
        as nb_seconds,
    case when event.person_id = published.creator_id then 'creator' else 'viewer' end as viewer_type
from reportable_event as event
join published on published.content_id = event.content_id and published.published_at <= event.at
where event.partner_id = $1 and event.kind = 'viewed'
group by
    event.group_id, published.creator_id, event.content_id, event.day, viewer_type;

-- name: track_content_fact
-- The work of learners on each content item of their tracks, over all days.
with enrolled as (
    select
        group_id,
        person_id,
        content_id as track_id,
        min(date_id) as date_id,
        min(at) as started_at,
        min(at) filter (where kind = 'completed') as completed_at
    from reportable_event
    where
        partner_id = $1
        and content_id in (select content_id from content_item where partner_id = $1
        and type = 'track')
    group by group_id, person_id, content_id
)
select
    enrolled.group_id,
    enrolled.person_id as user_id,
    enrolled.track_id as track_version_id,
    concat_ws('-', content_item.type, content_item.content_id) as content_id,
    enrolled.date_id,
    enrolled.started_at,
    enrolled.completed_at,
    work.xp,
    work.nb_seconds
from enrolled
join track_content
    on track_content.partner_id = $1 and track_content.track_id = enrolled.track_id
join content_item
    on content_item.partner_id = $1 and content_item.content_id = track_content.content_id
left join lateral (
    select
        sum(coalesce(course_xp, xp)) as xp,
        sum(coalesce(course_time_spent, time_spent)) as nb_seconds
    from daily_fact
    where
        partner_id = $1
        and person_id = enrolled.person_id
        and content_id = track_content.content_id
) as work on true;

-- name: track_fact
-- Learners on tracks: from their first event on the track until they complete it.
select
    group_id,
    person_id as user_id,
    content_id as track_version_id,
    min(date_id) as date_id,
    min(at) as started_at,
    min(at) filter (where kind = 'completed') as completed_at,
    not bool_or(kind = 'completed') as is_currently_active
from reportable_event
where
    partner_id = $1
    and content_id in (select content_id from content_item where partner_id = $1 and type = 'track')
group by group_id, person_id, content_id;

-- name: workspace_fact
-- Workspaces that have a creator, and their history.
select
    (array_agg(event.person_id order by event.at, event.statement_id)
        filter (where event.kind = 'created'))[1] as creator_id,
    event.content_id as workspace_id,
    attribute.nb_megabytes,
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
from reportable_event as event
join content_item
    on content_item.partner_id = event.partner_id and content_item.content_id = event.content_id
cross join lateral jsonb_to_record(content_item.attributes) as attribute (
    nb_megabytes double precision
)
where event.partner_id = $1 and content_item.type = 'workspace'
group by event.content_id, attribute.nb_megabytes
having bool_or(event.kind = 'created');

-- name: workspace_visit_fact
-- Visits to workspaces per visitor, group and day.
select
    event.person_id as visitor_id,
    event.content_id as workspace_id,
    event.day as visited_at,
    (sum(event.milliseconds) filter (where not event.is_cumulative))::double precision / 1000
        as nb_seconds,
    event.group_id
from reportable_event as event
join content_item
    on content_item.partner_id = event.partner_id and content_item.content_id = event.content_id
where event.partner_id = $1 and content_item.type = 'workspace' and event.kind = 'viewed'
group by event.person_id, event.content_id, event.day, event.group_id;
