-- Switches a partner's page views on or off; no row comes back for an unknown partner.
update partner set page_views = $2 where name = $1 returning name
