-- The offsets keep the look-ups what they are.
with given as materialized (
    select given.team, given.organization, given.from_day, person.person_id
    from jsonb_to_recordset($2::jsonb) as given (
        "user" text, team text, organization text, from_day date
    )
    cross join lateral (
        select person_id from person where partner_id = $1 and name = given.user offset 0
    ) as person
),
in_groups as (
    delete from group_membership
    using given
    cross join lateral (
        select group_id from learner_group where partner_id = $1 and name = given.organization
        offset 0
    ) as of
    where group_membership.partner_id = $1 and group_membership.person_id = given.person_id
        and group_membership.group_id = of.group_id
        and group_membership.from_day = given.from_day
)
delete from team_membership
using given
cross join lateral (
    select team_id from team where partner_id = $1 and slug = given.team offset 0
) as of
where team_membership.partner_id = $1 and team_membership.person_id = given.person_id
    and team_membership.team_id = of.team_id and team_membership.from_day = given.from_day
