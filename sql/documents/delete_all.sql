-- Locked in one order, so that two of these cannot deadlock.
with doomed as materialized (
    select document_key from document
    where partner_id = $1 and scope_key = $2 and ($3::uuid is null or registration = $3)
    order by document_key
    for update
)
delete from document
where partner_id = $1 and scope_key = $2 and document_key in (select document_key from doomed)
