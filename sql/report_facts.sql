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
    result.score,
    case
        when result.score < 70 then 'Novice'
        when result.score < 100 then 'Intermediate Lower'
        when result.score < 130 then 'Intermediate'
        when result.score <= 160 then 'Intermediate Upper'
        when result.score > 160 then 'Advanced'
    end as score_group,
    daily_fact.percentile,
    daily_fact.time_spent
from daily_fact
-- A fact from before scores were kept on two scales has the raw one only.
cross join lateral (
    select coalesce(daily_fact.raw_score, daily_fact.score) as score
) as result
join content_item
    on content_item.partner_id = daily_fact.partner_id
    and content_item.content_id = daily_fact.content_id
where daily_fact.partner_id = $1 and content_item.type = 'assessment';

-- name: assignment_fact
-- The progress of each assignee. The assignees of a team or group are its members on the day on
-- which the assignment is due or deleted, until then today; learners in no group count for the
-- organization of their records. What an assignee does counts as far as facts show it, and in the
-- organization of the assignment; an event without one, if the learner is a member that day, or in
-- no group.
with assigned as (
    select
        assignment.*,
        learner_group.name as organization,
        coalesce(content_item.alias_of, content_item.content_id) as reported_content_id,
        (
            least(assignment.due_at, assignment.deleted_at, now())
            at time zone partner_day.time_zone
        )::date as day
    from assignment
    join partner_day on partner_day.partner_id = assignment.partner_id
    join learner_group
        on learner_group.partner_id = assignment.partner_id
        and learner_group.group_id = assignment.group_id
    left join content_item
        on content_item.partner_id = assignment.partner_id
        and content_item.content_id = assignment.content_id
    where assignment.partner_id = $1
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
        case
            when assigned.type = 'xp' then min(event.at) filter (where event.xp >= assigned.xp)
            else min(event.at)
        end as at
    from (
        select
            event.at,
            sum(event.xp) over (order by event.at, event.sequence, event.statement_id) as xp
        from reportable_event as event
        where
            event.partner_id = $1
            and event.person_id = assignee.person_id
            and case
                when assigned.type = 'xp'
                    then assigned.created_at is null or event.at >= assigned.created_at
                else event.content_id = assigned.reported_content_id and event.kind = 'completed'
            end
            and (
                assigned.organization in ('', event.organization)
                or event.organization = ''
                and (
                    not exists (
                        select from group_membership
                        where partner_id = $1 and person_id = event.person_id
                    )
                    or exists (
                        select from group_membership as member
                        where
                            member.partner_id = $1
                            and member.person_id = event.person_id
                            and member.group_id = assigned.group_id
                            and member.from_day <= event.day
                            and (member.to_day is null or event.day < member.to_day)
                    )
                )
            )
    ) as event
) as done;

-- name: certification_fact
-- Attempts at certifications. An attempt is a registration; without one, each `registered` event
-- begins another attempt. Exams and case studies are the assessments and projects whose parent is
-- the certification, unless the catalog says otherwise. Only the catalog says which stages there
-- are, so what depends on all of a stage is null without it.
with stage as (
    select
        item.content_id,
        certification.content_id as certification_id,
        item.catalog ->> 'stage' as catalog_stage,
        coalesce(
            item.catalog ->> 'stage',
            case item.type when 'assessment' then 'exam' else 'case_study' end
        ) as stage
    from content_item as item
    join content_item as certification
        on
            certification.partner_id = item.partner_id
            and certification.content_key = item.parent_key
            and certification.type = 'certification'
    where item.partner_id = $1 and item.type in ('assessment', 'project')
),
required as (
    select certification_id, stage, count(*) as items
    from stage
    where catalog_stage is not null
    group by certification_id, stage
),
attribute as (
    select
        event.group_id,
        event.person_id,
        event.content_id,
        coalesce(stage.certification_id, event.content_id) as certification_id,
        event.registration,
        event.at,
        event.statement_id,
        event.sequence,
        event.kind,
        coalesce(stage.stage, 'certification') as stage,
        event.kind = 'passed' or (event.kind = 'completed' and event.success) as passed
    from reportable_event as event
    join content_item
        on content_item.partner_id = event.partner_id and content_item.content_id = event.content_id
    left join stage on stage.content_id = event.content_id
    where
        event.partner_id = $1
        and (content_item.type = 'certification' or stage.content_id is not null)
),
attempted as (
    select
        *,
        coalesce(
            registration::text,
            (count(*) filter (where kind = 'registered' and stage = 'certification') over (
                partition by person_id, certification_id, registration
                order by at, sequence, statement_id
            ))::text
        ) as attempt
    from attribute
),
passed_stage as (
    select
        first_pass.person_id,
        first_pass.certification_id,
        first_pass.attempt,
        first_pass.stage,
        max(first_pass.at) as at
    from (
        select person_id, certification_id, attempt, stage, content_id, min(at) as at
        from attempted
        where passed
        group by person_id, certification_id, attempt, stage, content_id
    ) as first_pass
    join required
        on
            required.certification_id = first_pass.certification_id
            and required.stage = first_pass.stage
    group by
        first_pass.person_id, first_pass.certification_id, first_pass.attempt, first_pass.stage,
        required.items
    having count(*) >= required.items
),
done as (
    select
        person_id,
        certification_id,
        attempt,
        min(at) filter (where stage = 'assessment') as assessments_at,
        min(at) filter (where stage = 'coding_challenge') as challenges_at,
        min(at) filter (where stage = 'exam') as exams_at
    from passed_stage
    group by person_id, certification_id, attempt
),
stages as (
    select
        certification_id,
        bool_or(stage = 'assessment') as has_assessments,
        bool_or(stage = 'coding_challenge') as has_challenges,
        bool_or(stage = 'exam') as has_exams
    from required
    group by certification_id
)
select
    max(attempted.group_id) as group_id,
    concat_ws('-', attempted.person_id, attempted.certification_id, attempted.attempt)
        as user_certification_id,
    attempted.person_id as user_id,
    attempted.certification_id,
    min(attempted.at) filter (where stage = 'certification' and kind = 'registered')
        as registered_at,
    min(attempted.at) filter (where stage = 'certification' and kind = 'registered')
        + max((certification.attributes ->> 'valid_days')::integer) * interval '1 day'
        as expired_at,
    max(done.assessments_at) as assessments_passed_at,
    max(done.challenges_at) as coding_challenge_passed_at,
    min(attempted.at) filter (where stage = 'exam' and kind = 'started') as first_exam_started_at,
    min(attempted.at) filter (where stage = 'exam' and kind = 'completed')
        as first_exam_completed_at,
    max(attempted.at) filter (where stage = 'exam' and passed) as exam_last_passed_at,
    max(done.exams_at) as case_study_ready_at,
    min(attempted.at) filter (where stage = 'case_study' and kind = 'completed')
        as first_case_study_submitted_at,
    max(attempted.at) filter (where stage = 'case_study' and kind = 'completed')
        as last_case_study_submitted_at,
    min(attempted.at) filter (where stage = 'certification' and kind = 'completed')
        as certificate_granted_at,
    case when bool_or(stages.has_assessments) then max(done.assessments_at) is not null end
        as is_passed_assessments,
    case when bool_or(stages.has_challenges) then max(done.challenges_at) is not null end
        as is_passed_challenges,
    case when bool_or(stages.has_exams) then max(done.exams_at) is not null end as is_passed_exams
from attempted
join content_item as certification
    on certification.partner_id = $1 and certification.content_id = attempted.certification_id
left join done
    on
        done.person_id = attempted.person_id
        and done.certification_id = attempted.certification_id
        and done.attempt = attempted.attempt
left join stages on stages.certification_id = attempted.certification_id
group by attempted.person_id, attempted.certification_id, attempted.attempt;

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
        (
            array_agg(person_id order by at, sequence, statement_id)
            filter (where kind = 'created')
        )[1]
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
-- The work of learners on each content item of the version of their tracks, over all days.
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
        and content_id in (
            select content_id from content_item where partner_id = $1 and type = 'track'
        )
    group by group_id, person_id, content_id
),
versioned as (
    select distinct on (enrolled.group_id, enrolled.person_id, enrolled.track_id)
        enrolled.*,
        version.track_version_id
    from enrolled
    join reported_track_version as version
        on version.partner_id = $1 and version.track_id = enrolled.track_id
    order by
        enrolled.group_id,
        enrolled.person_id,
        enrolled.track_id,
        coalesce(version.published_live_at <= enrolled.started_at, false)
            and coalesce(enrolled.started_at < version.archived_at, true) desc,
        version.is_current_version desc nulls last,
        version.version_number desc
)
select
    versioned.group_id,
    versioned.person_id as user_id,
    versioned.track_version_id,
    concat_ws('-', content_item.type, content_item.content_id) as content_id,
    versioned.date_id,
    versioned.started_at,
    versioned.completed_at,
    work.xp,
    work.nb_seconds
from versioned
join reported_track_content as part
    on part.partner_id = $1 and part.track_version_id = versioned.track_version_id
join content_item
    on content_item.partner_id = $1 and content_item.content_id = part.content_id
left join lateral (
    select
        sum(coalesce(course_xp, xp)) as xp,
        sum(coalesce(course_time_spent, time_spent)) as nb_seconds
    from daily_fact
    where
        partner_id = $1
        and person_id = versioned.person_id
        and content_id = part.content_id
) as work on true;

-- name: track_fact
-- Learners on tracks: from their first event on the track until they complete it. The version is
-- the one that was live at their start, else the current one.
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
        and content_id in (
            select content_id from content_item where partner_id = $1 and type = 'track'
        )
    group by group_id, person_id, content_id
),
versioned as (
    select distinct on (enrolled.group_id, enrolled.person_id, enrolled.track_id)
        enrolled.*,
        version.track_version_id
    from enrolled
    join reported_track_version as version
        on version.partner_id = $1 and version.track_id = enrolled.track_id
    order by
        enrolled.group_id,
        enrolled.person_id,
        enrolled.track_id,
        coalesce(version.published_live_at <= enrolled.started_at, false)
            and coalesce(enrolled.started_at < version.archived_at, true) desc,
        version.is_current_version desc nulls last,
        version.version_number desc
)
select
    group_id,
    person_id as user_id,
    track_version_id,
    date_id,
    started_at,
    completed_at,
    completed_at is null as is_currently_active
from versioned;

-- name: workspace_fact
-- Workspaces and their history. Views are in their own tables.
select
    (array_agg(event.person_id order by event.at, event.sequence, event.statement_id)
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
    (array_agg(event.group_id order by event.at, event.sequence, event.statement_id)
        filter (where event.kind = 'created'))[1] as group_id
from reportable_event as event
join content_item
    on content_item.partner_id = event.partner_id and content_item.content_id = event.content_id
cross join lateral jsonb_to_record(content_item.attributes) as attribute (
    nb_megabytes double precision
)
where event.partner_id = $1 and content_item.type = 'workspace'
group by event.content_id, attribute.nb_megabytes
having bool_or(event.kind in (
    'created', 'edited', 'integrated', 'published', 'publish_failed', 'shared', 'upvoted'
));

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
