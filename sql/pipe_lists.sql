-- Pipes as the admin API and the console list and change them.

-- name: list_pipe_page
-- A page of pipes: of one partner ($1), or of these partners ($2), or of all. Those that need an
-- operator come first: they fail, or have paused themselves. The page begins after ($3, $4, $5).
select
    pipe.*, partner.name as partner, partner.home_page,
    lease_until is not null and lease_until > now() as is_leased,
    (
        select count(*)
        from dead_letter
        where dead_letter.partner_id = pipe.partner_id and dead_letter.pipe = pipe.name
    ) as dead_letters
from pipe
join partner using (partner_id)
cross join lateral (
    select (
        pipe.state <> 'failing' and (pipe.state <> 'paused' or pipe.last_error is null)
    )::integer
) as item (rank)
where ($1::integer is null or pipe.partner_id = $1)
    and ($2::integer[] is null or pipe.partner_id = any($2))
    and (item.rank, partner.name, pipe.name) > ($3::bigint, $4::text, $5::text)
order by item.rank, partner.name, pipe.name
limit $6;

-- name: lock_pipe
-- One pipe, which neither an operator changes nor a process leases until the transaction ends.
select name
from pipe
where partner_id = $1 and name = $2
for no key update;

-- name: set_pipe_due
-- Makes a started pipe due at once, whatever it waits for. Returns no row for another one.
update pipe
set next_try_at = now()
where partner_id = $1 and name = $2 and state in ('running', 'waiting', 'failing')
returning name;

-- name: list_failing_pipe_names
-- At most $2 pipes of the partners $1 that fail, or have paused themselves, by partner.
select partner.name as partner, pipe.name
from pipe
join partner using (partner_id)
where pipe.partner_id = any($1::integer[])
    and (pipe.state = 'failing' or (pipe.state = 'paused' and pipe.last_error is not null))
order by partner.name, pipe.name
limit $2;
