select name as organization, title from learner_group
where partner_id = $1 and name = any($2::text[])
