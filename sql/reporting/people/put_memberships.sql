-- The offsets keep the look-ups what they are.
with given as materialized (
    select given.team, given.organization, given.from_day, given.to_day, person.person_id
    from jsonb_to_recordset($2::jsonb) as given (
        "user" text, team text, organization text, from_day date, to_day date
    )
    cross join lateral (
        select person_id from person where partner_id = $1 and name = given.user offset 0
    ) as person
),
in_groups as (
    insert into group_membership (partner_id, person_id, group_id, from_day, to_day)
    select $1, given.person_id, of.group_id, given.from_day, given.to_day
    from given
    cross join lateral (
        select group_id from learner_group where partner_id = $1 and name = given.organization
        offset 0
    ) as of
    on conflict (partner_id, person_id, group_id, from_day) do update
    set to_day = excluded.to_day
)
insert into team_membership (partner_id, person_id, team_id, from_day, to_day)
select $1, given.person_id, of.team_id, given.from_day, given.to_day
from given
cross join lateral (
    select team_id from team where partner_id = $1 and slug = given.team offset 0
) as of
on conflict (partner_id, person_id, team_id, from_day) do update
set to_day = excluded.to_day
