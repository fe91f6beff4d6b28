-- The swap: nothing is updated if the document is no longer the one ($4, $5) that was decided on.
update document
set content_type = $6, etag = $7, content = $8, updated = statement_timestamp()
where partner_id = $1 and scope_key = $2 and document_key = $3 and etag = $4 and content_type = $5
