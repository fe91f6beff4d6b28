-- The vendor's dimension tables and bridge, one query each; see docs/report-tables.md. Names of
-- tables and columns are a public contract. $1 is the partner.

-- name: assessment_dim
-- Assessments.
select content_id as assessment_id, title, attribute.slug, technology, content_id as id
from content_item
cross join lateral jsonb_to_record(attributes) as attribute (slug text)
where partner_id = $1 and type = 'assessment';

-- name: assignment_dim
-- Assignments, as imported.
select
    assignment.group_id,
    assignment.assignment_id,
    assignment.created_by_id,
    assignment.type as assignment_type,
    content_item.title as assignment_title,
    assignment.status as assignment_status,
    assignment.assignee_type,
    assignment.xp::double precision as assignment_xp,
    content_item.technology,
    content_item.topic,
    assignment.due_at,
    assignment.created_at,
    assignment.updated_at,
    assignment.deleted_at
from assignment
left join content_item
    on content_item.partner_id = assignment.partner_id
    and content_item.content_id = coalesce((
        select alias_of from content_item as named
        where named.partner_id = $1 and named.content_id = assignment.content_id
    ), assignment.content_id)
where assignment.partner_id = $1;

-- name: certification_dim
-- Certifications.
select content_id as certification_id, title as certification_name,
attribute.version as certification_version
from content_item
cross join lateral jsonb_to_record(attributes) as attribute (version text)
where partner_id = $1 and type = 'certification';

-- name: chapter_dim
-- Chapters with their courses, and one row that stands for all deleted chapters.
select
    chapter.content_id as chapter_id,
    chapter.title,
    attribute.slug,
    attribute.xp,
    coalesce(course.technology, chapter.technology) as technology,
    coalesce(course.topic, chapter.topic) as topic,
    coalesce(attribute.nb_exercises, parts.nb_exercises) as nb_exercises,
    course.title as course_title,
    course_attribute.slug as course_slug,
    course_attribute.xp as course_xp,
    course_attribute.description as course_description,
    course_attribute.short_description as course_short_description,
    course_attribute.launched_date as course_launched_date,
    chapter.content_id as id
from content_item as chapter
cross join lateral jsonb_to_record(chapter.attributes) as attribute (
    slug text, xp double precision, nb_exercises integer
)
left join content_item as course
    on
        course.partner_id = chapter.partner_id
        and course.content_key = chapter.parent_key
        and course.type = 'course'
left join lateral jsonb_to_record(course.attributes) as course_attribute (
    slug text, xp double precision, description text, short_description text, launched_date date
) on true
left join (
    select parent_key, count(*)::integer as nb_exercises
    from content_item
    where partner_id = $1 and type = 'exercise' and deleted_at is null
    group by parent_key
) as parts on parts.parent_key = chapter.content_key
where chapter.partner_id = $1 and chapter.type = 'chapter' and chapter.deleted_at is null
union all
select
    -1, 'deleted chapter', null, null, null, null, null, null, null, null, null, null, null, -1;

-- name: course_dim
-- Courses, and one row that stands for all deleted courses. The vendor's xp is course_xp, as in
-- chapter_dim: xp would be ambiguous beside course_fact.
select
    content_id as course_id,
    title,
    technology,
    topic,
    attribute.xp as course_xp,
    attribute.nb_hours_needed,
    attribute.slug,
    attribute.description,
    attribute.short_description,
    attribute.launched_date,
    content_id as id
from content_item
cross join lateral jsonb_to_record(attributes) as attribute (
    xp double precision,
    nb_hours_needed double precision,
    slug text,
    description text,
    short_description text,
    launched_date date
)
where partner_id = $1 and type = 'course' and deleted_at is null
union all
select -1, 'deleted course', null, null, null, null, null, null, null, null, -1;

-- name: date_dim
-- The days of 1970 to 2099, the same for all partners: $1 is only named.
select
    to_char(day, 'YYYYMMDD')::integer as date_id,
    day as date,
    date_part('year', day)::integer as year,
    date_part('quarter', day)::integer as quarter,
    date_part('month', day)::integer as month,
    trim(to_char(day, 'Month')) as month_name,
    date_part('week', day)::integer as week,
    date_trunc('week', day::timestamp)::date as week_start_date,
    date_part('day', day)::integer as day,
    date_part('isodow', day)::integer as day_of_week,
    trim(to_char(day, 'Day')) as day_name,
    date_part('isodow', day) > 5 as is_weekend,
    to_char(day, 'YYYYMMDD')::integer as id
from (
    select date '1970-01-01' + number as day
    from generate_series(0, date '2099-12-31' - date '1970-01-01') as number
    where $1::integer is not null
) as calendar;

-- name: exercise_dim
-- Exercises with their chapters and courses, and one row that stands for all deleted exercises. An
-- exercise may belong to a course without a chapter.
select
    exercise.content_id as exercise_id,
    exercise.title,
    attribute.exercise_type as type,
    attribute.number,
    attribute.xp,
    coalesce(course.technology, exercise.technology) as technology,
    coalesce(course.topic, exercise.topic) as topic,
    course.title as course_title,
    course_attribute.slug as course_slug,
    course_attribute.xp as course_xp,
    course_attribute.description as course_description,
    course_attribute.short_description as course_short_description,
    course_attribute.launched_date as course_launched_date,
    chapter.title as chapter_title,
    chapter_attribute.slug as chapter_slug,
    chapter_attribute.xp as chapter_xp,
    coalesce(chapter_attribute.nb_exercises, parts.nb_exercises) as chapter_nb_exercises,
    exercise.content_id as id
from content_item as exercise
cross join lateral jsonb_to_record(exercise.attributes) as attribute (
    exercise_type text, number integer, xp double precision
)
left join content_item as chapter
    on
        chapter.partner_id = exercise.partner_id
        and chapter.content_key = exercise.parent_key
        and chapter.type = 'chapter'
left join lateral jsonb_to_record(chapter.attributes) as chapter_attribute (
    slug text, xp double precision, nb_exercises integer
) on true
left join content_item as course
    on
        course.partner_id = exercise.partner_id
        and course.content_key = coalesce(chapter.parent_key, exercise.parent_key)
        and course.type = 'course'
left join lateral jsonb_to_record(course.attributes) as course_attribute (
    slug text, xp double precision, description text, short_description text, launched_date date
) on true
left join (
    select parent_key, count(*)::integer as nb_exercises
    from content_item
    where partner_id = $1 and type = 'exercise' and deleted_at is null
    group by parent_key
) as parts on parts.parent_key = chapter.content_key
where exercise.partner_id = $1 and exercise.type = 'exercise' and exercise.deleted_at is null
union all
select
    -1, 'deleted exercise', null, null, null, null, null, null, null, null, null, null, null, null,
    null, null, null, -1;

-- name: group_dim
-- Organizations, and the partner itself, which has an empty name.
select
    group_id,
    name,
    title,
    group_id as id
from learner_group
where partner_id = $1;

-- name: practice_dim
-- Practices.
select content_id as practice_id, title, attribute.status, technology, attribute.xp,
content_id as id
from content_item
cross join lateral jsonb_to_record(attributes) as attribute (status text, xp double precision)
where partner_id = $1 and type = 'practice';

-- name: project_dim
-- Projects.
select
    content_id as project_id,
    title,
    technology,
    attribute.xp,
    attribute.nb_hours_needed,
    attribute.is_guided,
    attribute.is_certification,
    attribute.description,
    attribute.short_description,
    content_id as id
from content_item
cross join lateral jsonb_to_record(attributes) as attribute (
    xp double precision,
    nb_hours_needed double precision,
    is_guided boolean,
    is_certification boolean,
    description text,
    short_description text
)
where partner_id = $1 and type = 'project';

-- name: team_dim
-- Teams, as imported.
select
    team_id,
    name,
    slug,
    created_date,
    updated_date,
    deleted_date,
    team_id as id
from team
where partner_id = $1;

-- name: track_content_dim
-- The content items of the versions of tracks.
select
    part.track_version_id,
    part.track_id,
    concat_ws('-', content_item.type, content_item.content_id) as content_id,
    content_item.type as content_type,
    content_item.title as content_title,
    part.position,
    attribute.xp
from reported_track_content as part
join content_item
    on content_item.partner_id = part.partner_id and content_item.content_id = part.content_id
join content_item as track
    on track.partner_id = part.partner_id and track.content_id = part.track_id
cross join lateral jsonb_to_record(content_item.attributes) as attribute (xp double precision)
where part.partner_id = $1 and track.type = 'track';

-- name: track_dim
-- The versions of tracks, as the catalog has them. A track without versions is a version with the
-- id of the track.
select
    version.track_version_id,
    version.track_id,
    coalesce(version.version_number, attribute.version_number) as version_number,
    coalesce(version.title, track.title) as title,
    track.technology,
    attribute.category,
    coalesce(version.short_description, attribute.short_description) as short_description,
    coalesce(version.published_live_at, attribute.published_live_at) as published_live_at,
    coalesce(version.archived_at, attribute.archived_at) as archived_at,
    coalesce(version.is_current_version, attribute.is_current_version) as is_current_version,
    attribute.is_custom,
    parts.nb_courses,
    parts.nb_projects,
    coalesce(version.xp, attribute.xp) as xp
from reported_track_version as version
join content_item as track
    on track.partner_id = version.partner_id and track.content_id = version.track_id
cross join lateral jsonb_to_record(track.attributes) as attribute (
    version_number integer,
    category text,
    short_description text,
    published_live_at timestamptz,
    archived_at timestamptz,
    is_current_version boolean,
    is_custom boolean,
    xp double precision
)
left join (
    select
        part.track_version_id,
        (count(*) filter (where content_item.type = 'course'))::integer as nb_courses,
        (count(*) filter (where content_item.type = 'project'))::integer as nb_projects
    from reported_track_content as part
    join content_item
        on content_item.partner_id = part.partner_id and content_item.content_id = part.content_id
    where part.partner_id = $1
    group by part.track_version_id
) as parts on parts.track_version_id = version.track_version_id
where version.partner_id = $1 and track.type = 'track';

-- name: user_dim
-- Learners, imported or first seen in statements.
select
    person_id as user_id,
    first_name,
    last_name,
    email,
    slug,
    person_id as id
from learner
where partner_id = $1;

-- name: user_team_bridge
-- Team memberships as of today.
select distinct
    member.person_id as user_id,
    member.team_id
from team_membership as member
join partner_day on partner_day.partner_id = member.partner_id
where
    member.partner_id = $1
    and member.from_day <= partner_day.today
    and (member.to_day is null or partner_day.today < member.to_day);

-- name: workspace_dim
-- Workspaces, with the group of their creator.
select
    content_item.content_id as workspace_id,
    content_item.title as workspace_title,
    content_item.technology,
    attribute.owner_type,
    attribute.category,
    attribute.key,
    attribute.is_featured,
    coalesce(created.group_id, owner.group_id) as group_id
from content_item
cross join lateral jsonb_to_record(content_item.attributes) as attribute (
    owner_type text, category text, key text, is_featured boolean, organization text
)
left join learner_group as owner
    on owner.partner_id = content_item.partner_id and owner.name = attribute.organization
left join lateral (
    select learner_group.group_id
    from learning_event
    left join learner_group
        on
            learner_group.partner_id = learning_event.partner_id
            and learner_group.name = learning_event.organization
    where
        learning_event.partner_id = $1
        and learning_event.content_id = content_item.content_id
        and learning_event.kind = 'created'
    order by learning_event.at, learning_event.sequence, learning_event.statement_id
    limit 1
) as created on true
where content_item.partner_id = $1 and content_item.type = 'workspace';
