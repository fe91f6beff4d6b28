-- The next people, in order: the last of them, and how many they are.
select max(person_id) as last, count(*) as count
from (
    select person_id from person
    where partner_id = $1 and person_id >= $2
    order by person_id
    limit $3
) as next
