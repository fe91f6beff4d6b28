-- The groups: the organizations, and the partner itself, which has no name.
select
    group_id,
    name,
    title,
    group_id as id
from learner_group
where partner_id = $1
