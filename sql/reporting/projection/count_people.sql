select count(*) from person where partner_id = $1
