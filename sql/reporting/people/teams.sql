select
    team.slug as team, team.name, learner_group.name as organization, team.created_date,
    team.updated_date, team.deleted_date
from team
left join learner_group using (partner_id, group_id)
where team.partner_id = $1 and team.slug = any($2::text[])
