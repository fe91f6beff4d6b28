-- LMS tools, and what they report through a callback: page views, time, accesses. The ids of users
-- and courses are the LMS's own texts of at most 255 characters, so that three fit an index entry.

-- Shared secrets are encrypted (JWE) with the secret key from the settings before they get here;
-- two are good while a rotation overlaps.
create table tool (
    partner_id            integer not null references partner,
    name                  text not null,
    consumer_key          text not null,
    secret_jwe            text not null,
    previous_secret_jwe   text,
    previous_secret_until timestamptz,
    created_at            timestamptz not null default now(),
    revoked_at            timestamptz,
    primary key (partner_id, name),
    constraint tool_consumer_key_unique unique (partner_id, consumer_key),
    constraint tool_name_shape check (name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$')
);

-- Whether callbacks leave page views; null: as the settings say.
alter table partner add column page_views boolean;

-- Nonces of signed requests, as hashes: a second request with the same one is refused.
create table callback_nonce (
    expires_at timestamptz not null,
    partner_id integer not null,
    tool       text not null,
    nonce      bytea not null,
    primary key (partner_id, tool, nonce)
);

create index callback_nonce_by_expiry on callback_nonce (partner_id, expires_at);

-- One row for each callback that was counted, under the id of its statement.
create table page_view (
    created_at          timestamptz not null,
    partner_id          integer not null,
    interaction_seconds integer not null,
    statement_id        uuid not null,
    tool                text not null,
    user_id             text not null,
    course_id           text not null,
    url                 text not null,
    primary key (partner_id, statement_id)
);

create index page_view_by_user on page_view (partner_id, user_id, created_at, statement_id);

-- Counted as it happens, so that a report reads as many rows as it shows. The counters are in no
-- index and the pages have room, so that an update touches no index.
create table course_activity (
    partner_id       integer not null,
    activity_seconds bigint not null,
    page_views       bigint not null,
    course_id        text not null,
    user_id          text not null,
    primary key (partner_id, course_id, user_id)
) with (fillfactor = 70);

create table course_day (
    partner_id integer not null,
    day        date not null,
    page_views bigint not null,
    course_id  text not null,
    primary key (partner_id, course_id, day)
) with (fillfactor = 70);

create table user_day (
    partner_id integer not null,
    day        date not null,
    page_views bigint not null,
    course_id  text not null,
    user_id    text not null,
    primary key (partner_id, course_id, user_id, day)
) with (fillfactor = 70);

create table tool_access (
    last_access timestamptz not null,
    partner_id  integer not null,
    accesses    bigint not null,
    course_id   text not null,
    user_id     text not null,
    tool        text not null,
    primary key (partner_id, course_id, user_id, tool)
) with (fillfactor = 70);
