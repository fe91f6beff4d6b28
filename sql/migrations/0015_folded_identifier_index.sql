-- outside a transaction
-- Other spellings of a mail address.

drop index concurrently if exists identifier_by_folded_key;

create index concurrently identifier_by_folded_key on identifier (partner_id, folded_key)
where folded_key is not null;
