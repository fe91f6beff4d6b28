-- Puts the events of a learner and a content next to each other, so that they are read and written
-- in the order in which they are looked for.
create index told_event_by_person on told_event (person_id, content_id);
cluster told_event using told_event_by_person;
analyze told_event
