select distinct day from learner_day where partner_id = $1 and content_id = any($2::integer[])
