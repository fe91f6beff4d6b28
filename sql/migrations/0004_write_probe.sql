-- The rows that `/readyz` writes. A row fills a page, also without compression, so that the probe
-- needs as much room on the disk as a statement.

create table write_probe (
    written_at timestamptz not null,
    filler     text not null
);

alter table write_probe alter column filler set storage plain;

comment on table write_probe is
    'Rows that readiness checks write, and truncate when the table has a thousand pages.';
