-- Persons without a name, of whom nothing is left that they could be called by.
delete from person
where partner_id = $1 and person_id = any($2::integer[]) and name is null
    and not exists (
        select from identifier
        where identifier.partner_id = $1 and identifier.person_id = person.person_id
    )
