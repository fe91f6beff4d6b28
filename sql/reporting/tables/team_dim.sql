-- The teams, as they were imported.
select
    team_id,
    name,
    slug,
    created_date,
    updated_date,
    deleted_date,
    team_id as id
from team
where partner_id = $1
