-- Results of assessments, by learner and day. The edges of the groups, which the vendor leaves open
-- but for "< 70" and "> 160", belong to the group above, as 70 does.
select
    learner_day.person_id as user_id,
    learner_day.content_id as assessment_id,
    learner_day.date_id,
    learner_day.started_at,
    learner_day.completed_at,
    learner_day.score,
    case
        when learner_day.score < 70 then 'Novice'
        when learner_day.score < 100 then 'Intermediate Lower'
        when learner_day.score < 130 then 'Intermediate'
        when learner_day.score <= 160 then 'Intermediate Upper'
        when learner_day.score > 160 then 'Advanced'
    end as score_group,
    learner_day.percentile,
    learner_day.time_spent
from learner_day
join content
    on content.partner_id = learner_day.partner_id and content.content_id = learner_day.content_id
where learner_day.partner_id = $1 and content.type = 'assessment'
