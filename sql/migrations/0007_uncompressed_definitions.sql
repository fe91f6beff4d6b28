-- Merged definitions without compression, so that their size is known without reading them. A
-- repetitive definition of 100 MB has 1 MB with compression, the limit of merge_definition.
alter table activity alter column definition set storage external;
