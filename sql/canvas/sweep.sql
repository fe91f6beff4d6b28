-- Forgets nonces whose requests would be refused for their age by now; by partner, as the index is.
delete from callback_nonce
using partner
where callback_nonce.partner_id = partner.partner_id and callback_nonce.expires_at < now()
