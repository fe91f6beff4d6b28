select person_id, name as user, email, first_name, last_name, slug
from person
where partner_id = $1 and name = any($2::text[])
