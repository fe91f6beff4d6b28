insert into identifier (partner_id, agent_key, identity, person_id, imported)
select $1, given.agent_key, given.identity, given.person_id, false
from unnest($2::bigint[], $3::text[], $4::integer[]) as given (agent_key, identity, person_id)
