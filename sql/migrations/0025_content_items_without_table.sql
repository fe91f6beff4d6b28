-- outside a transaction
drop index concurrently if exists content_item_without_table;

create index concurrently content_item_without_table on content_item (partner_id, content_id)
    where reported_type(type) is null;
