delete from learning_event where partner_id = $1
