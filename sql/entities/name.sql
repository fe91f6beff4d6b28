-- Notes the names that agents went by. Sorted against deadlocks.
insert into agent_name (partner_id, agent_hash, name_hash, name)
select $1, item.agent_hash, item.name_hash, item.name
from unnest($2::bytea[], $3::bytea[], $4::text[]) as item (agent_hash, name_hash, name)
order by item.agent_hash, item.name_hash
on conflict do nothing
