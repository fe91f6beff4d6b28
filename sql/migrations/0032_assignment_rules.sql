-- What assignments count, and today in the time zone of each partner.

create view partner_day as
select
    partner_id,
    coalesce(settings ->> 'time_zone', 'UTC') as time_zone,
    (now() at time zone coalesce(settings ->> 'time_zone', 'UTC'))::date as today
from partner;

comment on view partner_day is 'The time zone of the days of a partner, and its present day.';

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
    event.sequence,
    event.xp
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
