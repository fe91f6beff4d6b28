-- LMS tools, their callbacks, and the reports of page views that Canvas clients read.

-- name: insert_tool
-- Returns no row if the name or the consumer key is taken within the partner.
insert into tool (partner_id, name, consumer_key, secret_jwe)
values ($1, $2, $3, $4)
on conflict do nothing
returning name;

-- name: get_tool
-- Everything that a callback needs of its tool and partner, in one lookup.
select
    tool.partner_id, partner.name as partner, partner.home_page, partner.page_views, tool.name,
    tool.consumer_key, tool.secret_jwe, tool.previous_secret_jwe, tool.previous_secret_until,
    tool.created_at, tool.revoked_at, partner.limits as partner_limits,
    partner.settings as partner_settings, partner.disabled_reason as partner_disabled_reason
from tool
join partner using (partner_id)
where partner.name = $1 and tool.name = $2;

-- name: list_tools
-- The tools of one partner, or of all partners if $1 is null, ordered by name.
select
    tool.partner_id, partner.name as partner, partner.home_page, partner.page_views, tool.name,
    tool.consumer_key, tool.secret_jwe, tool.previous_secret_jwe, tool.previous_secret_until,
    tool.created_at, tool.revoked_at, partner.limits as partner_limits,
    partner.settings as partner_settings, partner.disabled_reason as partner_disabled_reason,
    coalesce(tool_counter.reused_ids, 0) as reused_ids
from tool
join partner using (partner_id)
left join tool_counter
    on tool_counter.partner_id = tool.partner_id and tool_counter.tool = tool.name
where $1::text is null or partner.name = $1
order by partner.name, tool.name;

-- name: rotate_tool
-- The previous secret stays valid until $4; null: it ends now. Returns no row if the tool does not
-- exist or is revoked.
update tool
set previous_secret_jwe = secret_jwe, previous_secret_until = $4, secret_jwe = $3
where partner_id = $1 and name = $2 and revoked_at is null
returning consumer_key;

-- name: revoke_tool
-- Returns no row if the tool does not exist or is revoked already.
update tool set revoked_at = now()
where partner_id = $1 and name = $2 and revoked_at is null
returning name;

-- name: list_tool_secrets
-- Pages of the encrypted secrets of every tool, after the tool ($1, $2).
select
    tool.partner_id, partner.name as partner, tool.name, tool.secret_jwe, tool.previous_secret_jwe
from tool
join partner using (partner_id)
where (tool.partner_id, tool.name) > ($1, $2)
order by tool.partner_id, tool.name
limit $3;

-- name: replace_tool_secrets
-- Compare and swap: returns the tools whose secrets were still the old ones.
update tool
set secret_jwe = item.new_secret, previous_secret_jwe = item.new_previous
from unnest($1::integer[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[]) as item (
    partner_id, name, secret, previous, new_secret, new_previous
)
where
    tool.partner_id = item.partner_id
    and tool.name = item.name
    and tool.secret_jwe = item.secret
    and tool.previous_secret_jwe is not distinct from item.previous
returning tool.name;

-- name: set_partner_page_views
-- Enables or disables page views of a partner; null: as the settings say. Returns no row if the
-- partner does not exist.
update partner set page_views = $2 where name = $1 returning name;

-- name: issue_callback_token
-- Stores a launch, or that its token is issued again.
insert into callback_token as existing
    (issued_at, partner_id, token_id, tool, user_id, course_id)
values (now(), $1, $2, $3, $4, $5)
on conflict (partner_id, token_id) do update set issued_at = excluded.issued_at;

-- name: get_callback_tokens
-- The launches of tokens, with the time of their issue in seconds since 1970.
select
    callback_token.partner_id, callback_token.token_id, partner.name, callback_token.tool,
    callback_token.user_id, callback_token.course_id,
    floor(extract(epoch from callback_token.issued_at))::bigint
from unnest($1::integer[], $2::bytea[]) as item (partner_id, token_id)
join callback_token
    on callback_token.partner_id = item.partner_id and callback_token.token_id = item.token_id
join partner on partner.partner_id = callback_token.partner_id;

-- name: delete_callback_tokens
-- Deletes the tokens of revoked tools, and those issued before $1, at most $2 of each tool. The
-- order and the limit make each tool a scan of the index that begins with it.
delete from callback_token as existing
using (
    select item.partner_id, item.token_id
    from tool
    cross join lateral (
        select callback_token.partner_id, callback_token.token_id
        from callback_token
        where
            callback_token.partner_id = tool.partner_id
            and callback_token.tool = tool.name
            and callback_token.issued_at
            < case when tool.revoked_at is null then $1 else 'infinity'::timestamptz end
        order by callback_token.issued_at
        limit $2
        for update skip locked
    ) as item
) as unused
where existing.partner_id = unused.partner_id and existing.token_id = unused.token_id;

-- name: insert_nonces
-- Consumes nonces and returns those that are new or expired. Of two transactions with the same
-- nonce, the later one waits for the earlier. Sorted, so that they cannot deadlock.
insert into callback_nonce as existing (partner_id, tool, nonce, expires_at)
select $1, item.tool, item.nonce, now() + item.ttl
from unnest($2::text[], $3::bytea[], $4::interval[]) as item (tool, nonce, ttl)
order by item.tool, item.nonce
on conflict (partner_id, tool, nonce) do update
set expires_at = excluded.expires_at
where existing.expires_at < now()
returning existing.tool, existing.nonce;

-- name: delete_nonces
-- Releases nonces that this transaction has consumed.
delete from callback_nonce
where
    partner_id = $1
    and (tool, nonce) in (
        select item.tool, item.nonce
        from unnest($2::text[], $3::bytea[]) as item (tool, nonce)
    );

-- name: delete_expired_nonces
-- Deletes nonces whose requests would be refused for their age. By partner, because the index
-- begins with it.
delete from callback_nonce
using partner
where callback_nonce.partner_id = partner.partner_id and callback_nonce.expires_at < now();

-- name: record_callbacks
-- Everything a batch of callbacks changes beside storing statements, in one round trip: page views
-- and counters. Counts are summed per counter and sorted, so that transactions which count for the
-- same learners cannot deadlock.
with item as materialized (
    select item.*, clock.received_at, (clock.received_at at time zone 'UTC')::date as day
    from unnest(
        $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::integer[],
        $9::boolean[], $10::boolean[]
    ) as item (
        statement_id, tool, user_id, course_id, url, seconds, interaction_seconds, counts_as_view,
        reuses_id
    )
    cross join clock_timestamp() as clock (received_at)
),
views as (
    insert into page_view
        (partner_id, statement_id, created_at, user_id, course_id, tool, url, interaction_seconds)
    select $1, statement_id, received_at, user_id, course_id, tool, url, interaction_seconds
    from item
    where counts_as_view
    order by statement_id
),
totals as (
    insert into course_activity as existing
        (partner_id, course_id, user_id, activity_seconds, page_views)
    select
        $1, course_id, user_id, coalesce(sum(seconds), 0)::bigint,
        count(*) filter (where counts_as_view)
    from item
    group by course_id, user_id
    order by course_id, user_id
    on conflict (partner_id, course_id, user_id) do update
    set
        activity_seconds = existing.activity_seconds + excluded.activity_seconds,
        page_views = existing.page_views + excluded.page_views
),
course_days as (
    insert into course_day as existing (partner_id, course_id, day, page_views)
    select $1, course_id, day, count(*)
    from item
    where counts_as_view
    group by course_id, day
    order by course_id, day
    on conflict (partner_id, course_id, day) do update
    set page_views = existing.page_views + excluded.page_views
),
user_days as (
    insert into user_day as existing (partner_id, course_id, user_id, day, page_views)
    select $1, course_id, user_id, day, count(*)
    from item
    where counts_as_view
    group by course_id, user_id, day
    order by course_id, user_id, day
    on conflict (partner_id, course_id, user_id, day) do update
    set page_views = existing.page_views + excluded.page_views
),
reused_ids as (
    insert into tool_counter as existing (partner_id, tool, reused_ids)
    select $1, tool, count(*)
    from item
    where reuses_id
    group by tool
    order by tool
    on conflict (partner_id, tool) do update
    set reused_ids = existing.reused_ids + excluded.reused_ids
)
insert into tool_access as existing (partner_id, course_id, user_id, tool, accesses, last_access)
select $1, course_id, user_id, tool, count(*), max(received_at)
from item
group by course_id, user_id, tool
order by course_id, user_id, tool
on conflict (partner_id, course_id, user_id, tool) do update
set
    accesses = existing.accesses + excluded.accesses,
    last_access = greatest(existing.last_access, excluded.last_access);

-- name: list_page_views
-- Page views of a user, newest first, after the position ($5, $6). No bound is ever null, so that
-- each stays an index condition.
select statement_id, created_at, user_id, course_id, tool, url, interaction_seconds
from page_view
where
    partner_id = $1 and user_id = $2
    and created_at >= $3 and created_at <= $4
    and created_at <= $5 and (created_at < $5 or statement_id < $6)
order by created_at desc, statement_id desc
limit $7 offset $8;

-- name: list_course_days
-- Page views of a course per day, for days with any.
select day, page_views from course_day
where partner_id = $1 and course_id = $2
order by day;

-- name: list_user_days
-- Page views of a user in a course per day, for days with any.
select day, page_views from user_day
where partner_id = $1 and course_id = $2 and user_id = $3
order by day;

-- name: list_course_summaries
-- A page of the users of a course with their views, the maximum, and a level by quartile. As in
-- Canvas, the quartiles of n users are at the ranks (n + 1) / 4 and 3 (n + 1) / 4, within 1 and n,
-- interpolated between the users of the two nearest ranks.
with ranked as materialized (
    select
        user_id, page_views, activity_seconds,
        row_number() over (order by page_views, user_id) as rank
    from course_activity
    where partner_id = $1 and course_id = $2
),
position as (
    select
        greatest((count(*) + 1) / 4.0, 1) as lower_rank,
        least((count(*) + 1) * 3 / 4.0, count(*)) as upper_rank
    from ranked
),
quartile as (
    select
        max(page_views) as max_page_views,
        sum(page_views * (1 - abs(rank - lower_rank))) filter (
            where abs(rank - lower_rank) < 1
        ) as lower_quartile,
        sum(page_views * (1 - abs(rank - upper_rank))) filter (
            where abs(rank - upper_rank) < 1
        ) as upper_quartile
    from ranked
    cross join position
),
selected as (
    select *, count(*) over () as total from ranked where $3::text is null or user_id = $3
)
select
    selected.user_id, selected.page_views, selected.activity_seconds, selected.total,
    quartile.max_page_views, case
        when selected.page_views = 0 then 0
        when selected.page_views < quartile.lower_quartile then 1
        when selected.page_views < quartile.upper_quartile then 2
        else 3
    end as level
from selected
cross join quartile
order by
    case when $4 = 'page_views' then selected.page_views end,
    case when $4 = 'page_views_descending' then selected.page_views end desc,
    case when $4 = 'name_descending' then selected.user_id end desc,
    selected.user_id
limit $5 offset $6;
