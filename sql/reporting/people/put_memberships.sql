with given as (
    select *
    from jsonb_to_recordset($2::jsonb) as given (
        "user" text, team text, organization text, from_day date, to_day date
    )
),
in_groups as (
    insert into group_membership (partner_id, person_id, group_id, from_day, to_day)
    select $1, person.person_id, learner_group.group_id, given.from_day, given.to_day
    from given
    join person on person.partner_id = $1 and person.name = given.user
    join learner_group
        on learner_group.partner_id = $1 and learner_group.name = given.organization
    on conflict (partner_id, person_id, group_id, from_day) do update
    set to_day = excluded.to_day
)
insert into team_membership (partner_id, person_id, team_id, from_day, to_day)
select $1, person.person_id, team.team_id, given.from_day, given.to_day
from given
join person on person.partner_id = $1 and person.name = given.user
join team on team.partner_id = $1 and team.slug = given.team
on conflict (partner_id, person_id, team_id, from_day) do update
set to_day = excluded.to_day
