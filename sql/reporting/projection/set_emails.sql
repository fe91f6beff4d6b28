-- Of people who were known by the digest of their address only; those imported have their own.
update person
set email = given.email
from unnest($2::integer[], $3::text[]) as given (person_id, email)
where person.partner_id = $1 and person.person_id = given.person_id
    and person.email is null and person.name is null
