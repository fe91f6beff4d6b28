-- All that a callback needs to know of its tool and partner, in one look-up.
select
    tool.partner_id, partner.name as partner, partner.home_page, partner.page_views, tool.name,
    tool.consumer_key, tool.secret_jwe, tool.previous_secret_jwe, tool.previous_secret_until,
    tool.created_at, tool.revoked_at
from tool
join partner using (partner_id)
where partner.name = $1 and tool.name = $2
