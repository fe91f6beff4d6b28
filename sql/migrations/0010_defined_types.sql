-- What definitions call the types of activities that the report tables have no table for.

alter table content_item add column defined_type text;

comment on column content_item.type is
    'The type by which the report tables have it: that of its definition, else one that statements '
    'imply, else the default of the partner.';

comment on column content_item.defined_type is
    'The type in its definition, by the vocabulary, else as IRI; null without one.';
