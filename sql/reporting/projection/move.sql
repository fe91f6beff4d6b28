-- In the transaction of what was made of the statements up to here.
update projection set position = $2, statement_id = $3, through = $4 where partner_id = $1
