insert into team (partner_id, slug, name, group_id, created_date, updated_date, deleted_date)
select
    $1, given.team, given.name, learner_group.group_id, given.created_date, given.updated_date,
    given.deleted_date
from jsonb_to_recordset($2::jsonb) as given (
    team text, name text, organization text, created_date date, updated_date date,
    deleted_date date
)
left join learner_group
    on learner_group.partner_id = $1 and learner_group.name = given.organization
on conflict (partner_id, slug) do update
set
    name = excluded.name,
    group_id = excluded.group_id,
    created_date = excluded.created_date,
    updated_date = excluded.updated_date,
    deleted_date = excluded.deleted_date
