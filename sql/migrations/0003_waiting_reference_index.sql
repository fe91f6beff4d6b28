-- outside a transaction
drop index concurrently if exists statement_reference_waiting;
create index concurrently statement_reference_waiting
    on statement_reference (partner_id, coalesce(waits_for, target_id)) where not resolved;
drop index concurrently if exists statement_reference_pending;
