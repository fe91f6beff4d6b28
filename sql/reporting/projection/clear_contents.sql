-- What statements told of contents beside their definitions; it is told again.
update content set type = null, told_type = null, parent_key = null where partner_id = $1
