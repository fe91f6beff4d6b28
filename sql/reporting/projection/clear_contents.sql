-- What was told of contents where nothing better was known; it is told again.
update content set type = null, parent_key = null where partner_id = $1
