select activity_id, definition from activity
where partner_id = $1 and activity_hash = any($2::bytea[])
