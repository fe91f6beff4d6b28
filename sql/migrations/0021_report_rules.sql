-- Days in the time zone of the partner, organizations from memberships, scores on two scales, and
-- the work on the parts of courses.

alter table learning_event
    add column sequence bigint not null default 0,
    add column raw_score double precision,
    add column day date,
    add column is_organization_inferred boolean not null default false;

comment on column learning_event.sequence is
    'That of the statement: of events at the same time, the later one wins.';

comment on column learning_event.score is 'In percent.';

comment on column learning_event.raw_score is 'On the scale of the sender.';

comment on column learning_event.day is
    'In the time zone of the partner. Null: projected before the column existed, a UTC day.';

comment on column learning_event.is_organization_inferred is
    'Whether the organization comes from memberships, because the statement has none.';

alter table learner_record
    add column best_raw_score double precision,
    add column last_raw_score double precision;

alter table content_day add column raw_score double precision;

alter table daily_fact
    add column raw_score double precision,
    add column course_started_at timestamptz,
    add column course_time_spent double precision,
    add column course_xp double precision,
    add column has_events boolean not null default true;

comment on column daily_fact.course_time_spent is
    'Of a course, together with its parts. Null: no part has facts.';

comment on column daily_fact.has_events is
    'False: a course of which only parts have events on this day.';

alter table content_item add column course_id integer;

comment on column content_item.course_id is
    'The course that the item is a part of; facts of the course include it.';

comment on table daily_fact is
    'One learner, one content item, one day, on days on which reports count the learner''s events.';

create or replace view reportable_event as
select
    event.partner_id,
    event.statement_id,
    event.person_id,
    event.content_id,
    event.registration,
    event.at,
    days.day,
    date_part('year', days.day)::integer * 10000
        + date_part('month', days.day)::integer * 100
        + date_part('day', days.day)::integer as date_id,
    event.kind,
    event.success,
    event.milliseconds,
    event.is_cumulative,
    event.organization,
    learner_group.group_id,
    event.sequence
from learning_event as event
cross join lateral (
    select coalesce(event.day, (event.at at time zone 'UTC')::date) as day
) as days
left join learner_group
    on learner_group.partner_id = event.partner_id and learner_group.name = event.organization
where
    not exists (
        select from group_membership as member
        where member.partner_id = event.partner_id and member.person_id = event.person_id
    )
    or exists (
        select from group_membership as member
        where
            member.partner_id = event.partner_id
            and member.person_id = event.person_id
            and (event.organization = '' or member.group_id = learner_group.group_id)
            and member.from_day <= days.day
            and (member.to_day is null or days.day < member.to_day)
    );
