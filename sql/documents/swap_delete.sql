-- The swap: nothing is deleted if the document is no longer the one ($4, $5) that was decided on.
delete from document
where partner_id = $1 and scope_key = $2 and document_key = $3 and etag = $4 and content_type = $5
