-- An id that stands under several registrations is listed once.
select document_id, max(updated) as updated from document
where partner_id = $1 and scope_key = $2
    and ($3::uuid is null or registration = $3)
    and ($4::timestamptz is null or updated > $4)
group by document_id
order by document_id
