insert into learner_group (partner_id, name)
select $1, given.name
from unnest($2::text[]) as given (name)
where not exists (
    select from learner_group
    where learner_group.partner_id = $1 and learner_group.name = given.name
)
