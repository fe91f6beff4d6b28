insert into identifier (partner_id, agent_key, identity, person_id, imported)
select $1, given.agent_key, given.identity, person.person_id, given.imported
from jsonb_to_recordset($2::jsonb) as given (
    agent_key bigint, identity text, "user" text, imported boolean
)
join person on person.partner_id = $1 and person.name = given.user
on conflict (partner_id, agent_key) do update
set person_id = excluded.person_id, imported = excluded.imported
