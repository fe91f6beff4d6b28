-- All memberships of these users.
select person.name as user, null as team, learner_group.name as organization, from_day, to_day
from person
join group_membership using (partner_id, person_id)
join learner_group using (partner_id, group_id)
where person.partner_id = $1 and person.name = any($2::text[])
union all
select person.name, team.slug, null, from_day, to_day
from person
join team_membership using (partner_id, person_id)
join team using (partner_id, team_id)
where person.partner_id = $1 and person.name = any($2::text[])
