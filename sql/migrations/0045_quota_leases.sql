-- What workers have leased of a quota of stored bytes: a recount adds it to what is stored.

alter table quota_usage add column leases jsonb;

comment on column quota_usage.leases is
    'Of stored bytes: by worker, the amount that it may use or is storing, and the time in seconds. '
    'Null: none.';
