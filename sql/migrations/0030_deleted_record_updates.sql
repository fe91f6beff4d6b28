-- outside a transaction
-- Increments of learner records have tombstones in the order of deletions.
drop index concurrently if exists deleted_record_by_update;

create index concurrently deleted_record_by_update
    on deleted_record (partner_id, deleted_at, person_id, content_id, organization);

drop index concurrently if exists deleted_record_by_time;
