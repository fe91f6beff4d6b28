-- Lets go of nonces that were just taken.
delete from callback_nonce
where
    partner_id = $1
    and (tool, nonce) in (
        select item.tool, item.nonce
        from unnest($2::text[], $3::bytea[]) as item (tool, nonce)
    )
