-- Takes away the events of statements that are voided now, and returns whose and of what they were.
delete from learning_event
where partner_id = $1 and statement_id = any($2::uuid[])
returning person_id, content_id
