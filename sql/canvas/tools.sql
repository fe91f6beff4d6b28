-- A partner's tools (every partner's, if none is named), by name.
select
    tool.partner_id, partner.name as partner, partner.home_page, partner.page_views, tool.name,
    tool.consumer_key, tool.secret_jwe, tool.previous_secret_jwe, tool.previous_secret_until,
    tool.created_at, tool.revoked_at
from tool
join partner using (partner_id)
where $1::text is null or partner.name = $1
order by partner.name, tool.name
