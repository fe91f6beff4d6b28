-- Whose these identifiers are.
select
    identifier.agent_key, person.person_id, person.name as user, identifier.imported, person.email
from identifier
join person using (partner_id, person_id)
where identifier.partner_id = $1 and identifier.agent_key = any($2::bigint[])
