-- Attempts at certifications. An attempt is a registration; without one, each time that a learner is
-- registered anew begins another. Exams and case studies are the assessments and projects whose parent
-- is the certification. What belongs to the vendor's first iteration has no source.
with told as (
    select
        event.group_id,
        event.person_id,
        coalesce(certification.content_id, event.content_id) as certification_id,
        event.registration,
        event.at,
        event.statement_id,
        event.kind,
        content.type,
        event.kind = 'passed' or (event.kind = 'completed' and event.success) as passed
    from shown_event as event
    join content
        on content.partner_id = event.partner_id and content.content_id = event.content_id
    left join content as certification
        on
            certification.partner_id = content.partner_id
            and certification.content_key = content.parent_key
            and certification.type = 'certification'
    where
        event.partner_id = $1
        and (
            content.type = 'certification'
            or (content.type in ('assessment', 'project') and certification.content_id is not null)
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
    from told
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
group by person_id, certification_id, attempt
