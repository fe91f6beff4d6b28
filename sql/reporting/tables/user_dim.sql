-- The learners, imported or met in statements.
select
    person_id as user_id,
    first_name,
    last_name,
    email,
    slug,
    person_id as id
from person
where partner_id = $1
