insert into person (partner_id, email)
select $1, given.email
from unnest($2::text[]) as given (email)
returning person_id, email
