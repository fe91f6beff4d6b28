-- The instant up to which the store is complete: no statement with `stored` at or before it can still
-- appear. A writer takes `stored` from the clock inside its transaction, after its xact_start can be
-- seen here; so whatever is not seen open here either is committed or will be stored after now().
-- It must be read before the page, in a statement of its own. Writers are told by application_name,
-- and by that they may write: a role that only reads reports can call itself anything. `blind` says
-- that what one of them does cannot be seen, and a standby sees none of them, so that no bound can be
-- given.
select
    now(),
    least(now(), min(xact_start)) - interval '1 microsecond' as horizon,
    coalesce(bool_or(state = 'disabled' or query = '<insufficient privilege>'), false) as blind,
    pg_is_in_recovery() as standby
from pg_stat_activity
where
    datname = current_database()
    and application_name = $1
    and has_table_privilege(usesysid, 'statement', 'insert')
