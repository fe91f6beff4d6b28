select sha2, content from attachment
where partner_id = $1 and sha2 = any($2::bytea[])
