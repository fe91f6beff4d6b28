select content_id, type from content where partner_id = $1
