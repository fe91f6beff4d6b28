select agent_key, person_id from identifier where partner_id = $1 and agent_key = any($2::bigint[])
