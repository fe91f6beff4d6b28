-- The statements stored after $2, up to $3, as they are, each in a line: what is replaced can only be
-- white space between tokens.
select replace(replace(replace(payload, E'\n', ' '), E'\r', ' '), E'\t', ' ') as payload
from statement
where partner_id = $1 and stored > $2 and stored <= $3
order by stored, statement_id
