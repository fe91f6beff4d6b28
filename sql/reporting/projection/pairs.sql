-- Of the people from one to another: all contents that they have events of, or had when the records
-- were made.
select person_id, content_id from learning_event
where partner_id = $1 and person_id between $2 and $3
union
select person_id, content_id from learner_record
where partner_id = $1 and person_id between $2 and $3
