delete from document where partner_id = $1 and scope_key = $2 and document_key = $3
