-- How many statements there are to follow from the beginning.
select count(*) from statement where partner_id = $1 and place < $2
