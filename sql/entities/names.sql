select name from agent_name where partner_id = $1 and agent_hash = $2 order by name
