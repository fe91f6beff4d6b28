-- Audit entries and properties of the server.

-- name: insert_audit_entry
-- Entries are never changed.
insert into audit_entry (partner_id, operator, via, action, object, before, after, request_id)
values ($1, $2, $3, $4, $5, $6::jsonb, $7::jsonb, $8);

-- name: set_server_property
-- A property that a server records.
insert into server_property (name, value) values ($1, $2)
on conflict (name) do update set value = excluded.value, updated_at = now()
where server_property.value <> excluded.value;

-- name: get_server_property
-- A property that a server has recorded.
select value from server_property where name = $1;
