-- Disabled partners, and responses for requests of operators that are repeated.

alter table partner add column disabled_at timestamptz;

comment on column partner.disabled_at is 'Null: the partner is enabled. All requests of a disabled partner are refused.';

alter table partner add column disabled_reason text;

comment on column partner.disabled_reason is 'Sent to the clients of a disabled partner.';

create table idempotency_key (
    created_at   timestamptz not null default now(),
    status       integer not null default 0,
    email        text not null,
    key          text not null,
    request_hash bytea not null,
    response_jwe text not null default '',
    primary key (email, key)
);

comment on table idempotency_key is
    'Responses of the admin API by Idempotency-Key, so that a repeated request returns the same. Kept for a day.';

comment on column idempotency_key.response_jwe is 'Encrypted (JWE): it may contain a secret.';
