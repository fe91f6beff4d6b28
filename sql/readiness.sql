-- The probe of `/readyz`: what a writer would meet.

-- name: write_probe
-- Commits one page, and returns the size of the table in bytes. An update would find room in a page
-- that exists: it succeeds on a full disk, where inserts fail.
insert into write_probe (written_at, filler) values (now(), repeat('.', 8000))
returning pg_relation_size('write_probe');

-- name: truncate_write_probe
-- Frees the pages; only probes use the table.
truncate write_probe;
