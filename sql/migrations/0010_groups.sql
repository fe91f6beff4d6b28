-- A group that has members is linked to its statements as they are, and is no actor of its own: then a
-- statement that has both an actor and an activity has no direct links to agents, and lists need not
-- look for any (see lrs/xapi/links.py). Servers of the version before must not write any more.
--
-- The roles 1, 4096 and 8192 are those of the actor and its members, of what stands in a SubStatement
-- and of what was inherited: such statements have no activity.

create temp table grouped on commit drop as
select distinct partner_id, place
from link
where roles & 1 <> 0 and roles & 12288 = 0;

analyze grouped;

insert into link (key, place, partner_id, roles)
select actor_key, place, partner_id, 1
from statement
join grouped using (partner_id, place)
where actor_key is not null and object_key is not null
on conflict do nothing;

update statement set actor_key = null
from grouped
where statement.partner_id = grouped.partner_id
    and statement.place = grouped.place
    and actor_key is not null
    and object_key is not null;
