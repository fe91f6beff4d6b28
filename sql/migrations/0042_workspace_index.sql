-- outside a transaction
-- The content items that the number of uncounted statements reads apart from the others.

drop index concurrently if exists content_item_workspace;

create index concurrently content_item_workspace on content_item (partner_id, content_id)
    where type = 'workspace';
