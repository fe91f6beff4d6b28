-- outside a transaction
-- Deleted learners, for operators: few of many persons.

drop index concurrently if exists person_by_deletion;

create index concurrently person_by_deletion on person (partner_id, person_id)
    where deleted_at is not null;
