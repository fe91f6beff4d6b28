-- outside a transaction
-- What counts the statements that are in no table of the vendor's.
drop index concurrently if exists content_count_uncounted;

create index concurrently content_count_uncounted on content_count (partner_id, content_id)
    where enrolments > 0 or outside_membership > 0;

drop index concurrently if exists content_item_without_table;

create index concurrently content_item_without_table on content_item (partner_id, content_id)
    where type is null;
