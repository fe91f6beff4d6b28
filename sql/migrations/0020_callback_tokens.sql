-- Launches of LTI tools, whose callback URLs have a short token.

create table callback_token (
    issued_at  timestamptz not null,
    partner_id integer not null,
    token_id   bytea not null,
    tool       text not null,
    user_id    text not null,
    course_id  text not null,
    primary key (partner_id, token_id)
);

comment on table callback_token is
    'Launches with callback URLs, one row each. Deleted after the lifetime of the URLs, or when the tool is revoked.';

comment on column callback_token.issued_at is
    'When the URL was last issued.';

comment on column callback_token.token_id is
    'The hash of tool, user and course; the token is this and a signature.';

-- For the deletion of the tokens of revoked tools, and of expired ones. It does not begin with the
-- partner: with few rows in the statistics, look-ups by primary key would use it.
create index callback_token_by_tool on callback_token (tool, partner_id, issued_at);
