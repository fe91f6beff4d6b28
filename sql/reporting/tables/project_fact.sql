-- Work on projects, by learner and day.
select
    learner_day.person_id as user_id,
    learner_day.content_id as project_id,
    learner_day.date_id,
    learner_day.started_at,
    learner_day.completed_at,
    learner_day.time_spent,
    learner_day.xp
from learner_day
join content
    on content.partner_id = learner_day.partner_id and content.content_id = learner_day.content_id
where learner_day.partner_id = $1 and content.type = 'project'
