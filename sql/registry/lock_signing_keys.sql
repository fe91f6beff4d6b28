-- For whoever would add one: others may read meanwhile.
lock table signing_key in share row exclusive mode
