insert into person (partner_id, name, email, first_name, last_name, slug)
select $1, given.user, given.email, given.first_name, given.last_name, given.slug
from jsonb_to_recordset($2::jsonb) as given (
    "user" text, email text, first_name text, last_name text, slug text
)
