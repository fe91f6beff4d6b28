-- The intake ledger: what arrived, by hour; refused items; failed access.
alter table statement add column source smallint;
comment on column statement.source is
    'The interface that received it (lrs/store/intake.py); null before version 0.2.';

create table intake_count (
    hour timestamptz not null,
    last_at timestamptz not null,
    items bigint not null,
    bytes bigint not null,
    partner_id integer not null,
    source text not null,
    credential text not null,
    organization text not null,
    outcome text not null,
    code text not null,
    pointer text not null,
    primary key (partner_id, hour, source, credential, organization, outcome, code, pointer)
);
comment on table intake_count is
    'Items that arrived, by hour (UTC). Stored ones are counted from the statements themselves.';
comment on column intake_count.bytes is
    'Of stored items the stored text, of others the text as received.';
comment on column intake_count.credential is
    'The key of a credential, or "tool" and the name of a tool; empty: of neither.';
comment on column intake_count.organization is
    'Empty: none.';
comment on column intake_count.pointer is
    'The place of the first violation, with * for indexes.';

create table intake_position (
    position bigint not null default 0,
    partner_id integer not null,
    primary key (partner_id)
);
comment on table intake_position is
    'How far statements are counted. A lock on the row is the right to add counts of the partner.';
comment on column intake_position.position is
    'Sequence of the last counted statement; 0 before the first.';

create table credential_use (
    last_used_at timestamptz,
    last_refused_at timestamptz,
    partner_id integer not null,
    credential text not null,
    primary key (partner_id, credential)
) with (fillfactor = 50);
comment on table credential_use is
    'When a credential or tool was last used, and when an item of it was last refused.';

create table refusal (
    refused_at timestamptz not null,
    resubmitted_at timestamptz,
    partner_id integer not null,
    item_index integer,
    item_bytes integer not null,
    refusal_id uuid not null,
    source text not null,
    credential text not null,
    organization text not null,
    outcome text not null,
    code text not null,
    pointer text not null,
    statement_id text,
    requested_id text,
    version text,
    request_id text not null,
    problem text not null,
    item bytea,
    primary key (partner_id, refusal_id)
);
comment on table refusal is
    'Refused items and requests, for some days.';
comment on column refusal.refusal_id is
    'UUID version 7: the order of ids is that of time.';
comment on column refusal.item_index is
    'The index in its request; null: the request as a whole was refused.';
comment on column refusal.item_bytes is
    'The size as received; larger than that of the item if only its beginning is kept.';
comment on column refusal.requested_id is
    'The id in the query of a PUT request.';
comment on column refusal.problem is
    'The problem details (RFC 9457) as JSON, with all errors.';
comment on column refusal.item is
    'The text as received; null if it is not kept.';

create table access_attempt (
    first_at timestamptz not null,
    last_at timestamptz not null,
    attempts bigint not null,
    partner_id integer not null,
    status smallint not null,
    attempt_hash bytea not null,
    code text not null,
    reason text not null,
    method text not null,
    path text not null,
    key text,
    address text not null,
    request_id text not null,
    primary key (partner_id, attempt_hash)
);
create index access_attempt_by_time on access_attempt (partner_id, last_at);
comment on table access_attempt is
    'Requests with status 401, 403 or 404, equal ones as one row. Partner 0: of no partner.';
comment on column access_attempt.key is
    'The key or client id as sent, not verified; null: none, or not recognized as one.';

create table alarm (
    since timestamptz not null,
    notified_at timestamptz,
    retry_at timestamptz not null default now(),
    partner_id integer not null,
    failures integer not null default 0,
    firing boolean not null,
    notified boolean not null default false,
    kind text not null,
    details text not null,
    primary key (partner_id, kind)
);
comment on table alarm is
    'Alarms of partners, firing or resolved, and what the webhook has been sent of them.';
comment on column alarm.notified is
    'Whether the webhook was last sent that the alarm is firing.';
comment on column alarm.retry_at is
    'The earliest time to send. The server that sends moves it forward: a lease.';
