-- outside a transaction
-- What statements tell of a content's type, apart from what its definition says, which counts before it
-- as long as it says any. Of contents that are known by now nothing tells the two apart; a rebuild
-- does. Other servers go on with their contents meanwhile.
alter table content add column if not exists told_type text;

update content set told_type = type where told_type is null and type is not null;
