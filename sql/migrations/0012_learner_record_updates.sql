-- outside a transaction
-- Increments of learner records, in the order of their changes.
drop index concurrently if exists learner_record_by_update;

create index concurrently learner_record_by_update
    on learner_record (partner_id, updated_at, person_id, content_id, organization);
