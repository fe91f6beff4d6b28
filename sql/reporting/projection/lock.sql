-- The right to change what is made of a partner's statements; waits for whoever has it.
select from projection where partner_id = $1 for update
