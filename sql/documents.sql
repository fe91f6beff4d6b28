-- State, agent profile and activity profile documents. See xAPI 1.0.3 Communication 2.2.

-- name: get_document
-- One document by its keys.
select content, content_type, etag, updated from document
where partner_id = $1 and scope_key = $2 and document_key = $3;

-- name: get_document_for_update
-- After a lost compare-and-swap: locks the document until the transaction ends.
select content, content_type, etag, updated from document
where partner_id = $1 and scope_key = $2 and document_key = $3
for update;

-- name: list_document_ids
-- Ids with the time of their last update. An id that exists under several registrations is listed
-- once.
select document_id, max(updated) as updated from document
where partner_id = $1 and scope_key = $2
    and ($3::uuid is null or registration = $3)
    and ($4::timestamptz is null or updated > $4)
group by document_id
order by document_id;

-- name: insert_document
-- Compare-and-swap for a document that did not exist; inserts nothing if it exists by now.
insert into document
    (partner_id, scope_key, document_key, kind, activity, agent, registration, document_id,
     content_type, etag, content, updated)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, statement_timestamp())
on conflict do nothing;

-- name: replace_document
-- Compare-and-swap: updates nothing unless the document still has the ETag $4 and content type $5.
update document
set content_type = $6, etag = $7, content = $8, updated = statement_timestamp()
where partner_id = $1 and scope_key = $2 and document_key = $3 and etag = $4 and content_type = $5;

-- name: upsert_document
-- Last writer wins, so no read is needed first. The statement may have waited for another writer,
-- whose time is then the later one. (Citus allows no clock function after `set`.)
insert into document
    (partner_id, scope_key, document_key, kind, activity, agent, registration, document_id,
     content_type, etag, content, updated)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, statement_timestamp())
on conflict (partner_id, scope_key, document_key)
do update set
    content_type = excluded.content_type, etag = excluded.etag, content = excluded.content,
    updated = greatest(document.updated, excluded.updated);

-- name: delete_document
-- Deletes the document unconditionally; returns its size.
delete from document where partner_id = $1 and scope_key = $2 and document_key = $3
returning octet_length(content);

-- name: delete_document_if_unchanged
-- Compare-and-swap: deletes nothing unless the document still has the ETag $4 and content type $5.
delete from document
where partner_id = $1 and scope_key = $2 and document_key = $3 and etag = $4 and content_type = $5;

-- name: delete_documents
-- Deletes all documents of a scope, or of one of its registrations. Rows are locked in key order,
-- so that two of these cannot deadlock. Returns the size of the documents.
with locked as materialized (
    select document_key from document
    where partner_id = $1 and scope_key = $2 and ($3::uuid is null or registration = $3)
    order by document_key
    for update
),
deleted as (
    delete from document
    where partner_id = $1 and scope_key = $2 and document_key in (select document_key from locked)
    returning octet_length(content) as size
)
select coalesce(sum(size), 0) from deleted;
