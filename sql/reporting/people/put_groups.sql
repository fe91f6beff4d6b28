insert into learner_group (partner_id, name, title)
select $1, given.organization, given.title
from jsonb_to_recordset($2::jsonb) as given (organization text, title text)
on conflict (partner_id, name) do update set title = excluded.title
