-- The same, or no row if somebody else has it; and how far the statements have been followed.
select position from projection where partner_id = $1 for update skip locked
