-- In the transaction of what was made of the statements up to here.
update projection set position = $2, through = $3 where partner_id = $1
