with given as (
    select *
    from jsonb_to_recordset($2::jsonb) as given (
        "user" text, team text, organization text, from_day date
    )
),
in_groups as (
    delete from group_membership
    using given, person, learner_group
    where person.partner_id = $1 and person.name = given.user
        and learner_group.partner_id = $1 and learner_group.name = given.organization
        and group_membership.partner_id = $1
        and group_membership.person_id = person.person_id
        and group_membership.group_id = learner_group.group_id
        and group_membership.from_day = given.from_day
)
delete from team_membership
using given, person, team
where person.partner_id = $1 and person.name = given.user
    and team.partner_id = $1 and team.slug = given.team
    and team_membership.partner_id = $1 and team_membership.person_id = person.person_id
    and team_membership.team_id = team.team_id and team_membership.from_day = given.from_day
