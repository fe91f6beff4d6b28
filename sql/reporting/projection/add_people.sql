insert into person (partner_id, email)
select $1, given.email
from unnest($2::text[]) with ordinality as given (email, place)
order by given.place
returning person_id, email
