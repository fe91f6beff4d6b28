-- Rate limits and quotas of partners and credentials.

alter table partner add column limits jsonb;

comment on column partner.limits is
    'Limits that differ from the settings; 0 or an empty text is no limit. Null: none differs.';

alter table credential add column limits jsonb;

comment on column credential.limits is
    'Limits that differ from the settings; 0 or an empty text is no limit. Null: none differs.';

-- Not logged: after a crash of the database, or on a promoted standby, every quota is whole again.
create unlogged table rate_limit (
    partner_id integer not null,
    subject    text not null,
    arrival    double precision not null,
    primary key (partner_id, subject)
) with (fillfactor = 50);

comment on table rate_limit is
    'Rate limits (GCRA), shared by all servers. Unlogged: a crash of the database resets them.';

comment on column rate_limit.subject is
    'Empty for the partner itself, or the key of a credential, or "tool" and the name of a tool.';

comment on column rate_limit.arrival is
    'When the quota is whole again, in seconds since 1970; see lrs/limits/gcra.py.';

create table quota_usage (
    partner_id integer not null,
    subject    text not null,
    resource   text not null,
    day        date not null,
    used       bigint not null,
    counted_at timestamptz,
    primary key (partner_id, subject, resource),
    constraint quota_usage_resource_is_statements_or_bytes check (resource in ('statements', 'bytes'))
) with (fillfactor = 50);

comment on table quota_usage is
    'What partners and credentials have used of their quotas, with what servers have leased.';

comment on column quota_usage.subject is
    'Empty for the partner itself, or the key of a credential, or "tool" and the name of a tool.';

comment on column quota_usage.day is
    'The UTC day on which the statements are counted; 1970-01-01 for stored bytes.';

comment on column quota_usage.counted_at is
    'When the stored bytes were counted last; null: never.';
