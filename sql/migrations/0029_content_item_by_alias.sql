-- outside a transaction
-- The aliases of a content item.

drop index concurrently if exists content_item_by_alias;

create index concurrently content_item_by_alias on content_item (partner_id, alias_of)
    where alias_of is not null;
