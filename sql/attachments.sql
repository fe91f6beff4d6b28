-- Attachment contents and the verification results of signed statements.

-- name: insert_attachments
-- Stores each content once per partner. Sorted by hash, so that writers cannot deadlock.
insert into attachment (partner_id, sha2, content)
select $1, item.sha2, item.content
from unnest($2::bytea[], $3::bytea[]) as item (sha2, content)
order by item.sha2
on conflict do nothing;

-- name: insert_signatures
-- Records the result of verifying each signature.
insert into signature (partner_id, statement_id, sha2, status, algorithm, key, subject)
select $1, item.*
from unnest($2::uuid[], $3::bytea[], $4::text[], $5::text[], $6::text[], $7::text[])
    as item (statement_id, sha2, status, algorithm, key, subject)
on conflict do nothing;

-- name: list_attachment_sizes
-- Which of the contents exist and their sizes in bytes, so that they can be read in chunks.
select sha2, length(content) as size from attachment
where partner_id = $1 and sha2 = any($2::bytea[]);

-- name: get_attachments
-- Whole contents by hash.
select sha2, content from attachment
where partner_id = $1 and sha2 = any($2::bytea[]);
