-- The teams that learners are in today.
select distinct
    person_id as user_id,
    team_id
from team_membership
where
    partner_id = $1
    and from_day <= (now() at time zone 'UTC')::date
    and (to_day is null or (now() at time zone 'UTC')::date < to_day)
