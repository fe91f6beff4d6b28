-- Also of persons who get their name with it.
update person
set
    name = given.user,
    email = given.email,
    first_name = given.first_name,
    last_name = given.last_name,
    slug = given.slug
from jsonb_to_recordset($2::jsonb) as given (
    person_id integer, "user" text, email text, first_name text, last_name text, slug text
)
where person.partner_id = $1 and person.person_id = given.person_id
