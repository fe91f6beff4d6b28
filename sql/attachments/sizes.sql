-- Which of these contents are here, and how long each is, so that they can be read in portions.
select sha2, length(content) as size from attachment
where partner_id = $1 and sha2 = any($2::bytea[])
