select statement_id, organization, payload, false as voided
from statement
where partner_id = $1 and statement_id = any($2::uuid[])
