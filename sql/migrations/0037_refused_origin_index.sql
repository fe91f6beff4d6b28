-- outside a transaction
-- The statements that a pipe reads again when it is reset or removed.

drop index concurrently if exists statement_origin_refused;

create index concurrently statement_origin_refused
    on statement_origin (partner_id, pipe) where refused;
