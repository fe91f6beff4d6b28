-- One row if that is news.
update content
set deleted_at = case when $3 then now() end
where partner_id = $1 and content_id = $2 and (deleted_at is not null) <> $3
returning content_id
