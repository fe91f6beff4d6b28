-- Settings of partners.

alter table partner add column settings jsonb;

comment on column partner.settings is
    'Settings that differ from the defaults; see lrs/store/partner_settings.py. Null: none differs.';
