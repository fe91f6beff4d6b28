-- What was told of these identifiers goes to those who have them now.
update learning_event
set person_id = identifier.person_id
from identifier
where learning_event.partner_id = $1 and learning_event.person_id = any($2::integer[])
    and learning_event.agent_key = any($3::bigint[])
    and identifier.partner_id = $1 and identifier.agent_key = learning_event.agent_key
