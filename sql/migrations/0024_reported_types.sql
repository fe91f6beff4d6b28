-- Content items that are in no table of the vendor's.

create function reported_type(type text)
returns text
language sql
immutable parallel safe
return case
    when type in (
        'assessment', 'certification', 'chapter', 'course', 'exercise', 'practice', 'project',
        'track', 'workspace'
    ) then type
end;

comment on function reported_type(text) is
    'The type if the vendor has tables of it, else null; REPORTED_TYPES in vocabulary.py.';
