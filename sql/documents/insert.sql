-- The swap for a document that was not there; no row is inserted if it is by now.
insert into document
    (partner_id, scope_key, document_key, kind, activity, agent, registration, document_id,
     content_type, etag, content, updated)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, statement_timestamp())
on conflict do nothing
