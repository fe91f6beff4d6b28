-- Whose these identifiers are. The offsets keep the look-ups what they are.
select
    identifier.agent_key, identifier.person_id, person.name as user, identifier.imported,
    person.email
from (
    select * from identifier where partner_id = $1 and agent_key = any($2::bigint[]) offset 0
) as identifier
cross join lateral (
    select name, email from person
    where partner_id = $1 and person_id = identifier.person_id
    offset 0
) as person
