-- The same, or no row if somebody else has it; and how far the statements have been followed.
select position, statement_id from projection where partner_id = $1 for update skip locked
