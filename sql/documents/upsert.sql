-- Where the last writer wins: no need to read first. It may have waited for the one before it, so its
-- time of sending may be the earlier one. (Citus takes no function of the clock after `set`.)
insert into document
    (partner_id, scope_key, document_key, kind, activity, agent, registration, document_id,
     content_type, etag, content, updated)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, statement_timestamp())
on conflict (partner_id, scope_key, document_key)
do update set
    content_type = excluded.content_type, etag = excluded.etag, content = excluded.content,
    updated = greatest(document.updated, excluded.updated)
