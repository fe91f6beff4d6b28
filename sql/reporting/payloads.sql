-- The statements from the place $2 to before $3, as they are, each in a line: what is replaced can only
-- be white space between tokens.
select replace(replace(replace(payload, E'\n', ' '), E'\r', ' '), E'\t', ' ') as payload
from statement
where partner_id = $1 and place >= $2 and place < $3
order by place
