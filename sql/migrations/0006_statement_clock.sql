create table statement_clock (
    floor timestamptz primary key
);

comment on table statement_clock is
    'Times that were sent as a watermark or soon will be. New statements are stored after the greatest one, also if the clock is set back.';
