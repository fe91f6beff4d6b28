-- What statements are found to say, apart from what is known until all of them have been read.
create temporary table told_event (like learning_event) on commit drop
