select content_key, content_id from content
where partner_id = $1 and content_key = any($2::bigint[])
