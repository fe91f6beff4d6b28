-- All memberships of these persons. Each offset keeps a look-up one.
select member.person_id, null as team, of.name as organization, member.from_day, member.to_day
from (
    select * from group_membership where partner_id = $1 and person_id = any($2::integer[]) offset 0
) as member
cross join lateral (
    select name from learner_group where partner_id = $1 and group_id = member.group_id offset 0
) as of
union all
select member.person_id, of.slug, null, member.from_day, member.to_day
from (
    select * from team_membership where partner_id = $1 and person_id = any($2::integer[]) offset 0
) as member
cross join lateral (
    select slug from team where partner_id = $1 and team_id = member.team_id offset 0
) as of
