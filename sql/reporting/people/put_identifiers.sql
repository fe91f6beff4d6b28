insert into identifier (partner_id, agent_key, identity, person_id, imported)
select $1, given.agent_key, given.identity, person.person_id, given.imported
from jsonb_to_recordset($2::jsonb) as given (
    agent_key bigint, identity text, "user" text, imported boolean
)
-- The offset keeps this a look-up.
cross join lateral (
    select person_id from person where partner_id = $1 and name = given.user offset 0
) as person
on conflict (partner_id, agent_key) do update
set person_id = excluded.person_id, imported = excluded.imported
