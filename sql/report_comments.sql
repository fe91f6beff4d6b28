-- What each column says, as business intelligence tools show it: docs/report-tables.md without markup,
-- which a test holds this to. The names are those of the schema that the search path names.

comment on column assessment_dim.assessment_id is 'assigned at the first appearance of the assessment; stable';
comment on column assessment_dim.title is 'definition, name, in the partner''s language; else title or name of a track event; else the last part of the activity''s IRI';
comment on column assessment_dim.slug is 'definition, extension http://datacamp.com/slug';
comment on column assessment_dim.technology is 'definition, extension http://datacamp.com/topics: the first topic that the vocabulary lists as a technology';
comment on column assessment_dim.id is 'assessment_id';

comment on column assessment_fact.user_id is 'the learner: actor; user of a track event';
comment on column assessment_fact.assessment_id is 'the assessment: object.id, by object.definition.type';
comment on column assessment_fact.date_id is 'the day of timestamp in the partner''s time zone, as yyyymmdd';
comment on column assessment_fact.started_at is 'timestamp of the first statement but registered, on shown days';
comment on column assessment_fact.completed_at is 'timestamp of the first completed, or with result.completion, if not after this day';
comment on column assessment_fact.score is 'result.score.raw, else 100 times result.score.scaled: the last of the day';
comment on column assessment_fact.score_group is 'of score: Novice, Intermediate Lower, Intermediate, Intermediate Upper or Advanced';
comment on column assessment_fact.percentile is 'result or context, extension http://datacamp.com/percentile: the last of the day';
comment on column assessment_fact.time_spent is 'result.duration of the day, in seconds';

comment on column assignment_dim.group_id is 'people import, assignment rows: the group of the organization';
comment on column assignment_dim.assignment_id is 'assigned at the first import; stable';
comment on column assignment_dim.created_by_id is 'people import, assignment rows: created_by';
comment on column assignment_dim.assignment_type is 'people import, assignment rows: assignment_type';
comment on column assignment_dim.assignment_title is 'the assigned content''s title';
comment on column assignment_dim.assignment_status is 'people import, assignment rows: status';
comment on column assignment_dim.assignee_type is 'people import, assignment rows: assignee_type';
comment on column assignment_dim.assignment_xp is 'people import, assignment rows: xp';
comment on column assignment_dim.technology is 'the assigned content''s';
comment on column assignment_dim.topic is 'the assigned content''s';
comment on column assignment_dim.due_at is 'people import, assignment rows: due_at';
comment on column assignment_dim.created_at is 'people import, assignment rows: created_at';
comment on column assignment_dim.updated_at is 'people import, assignment rows: updated_at';
comment on column assignment_dim.deleted_at is 'people import, assignment rows: deleted_at';

comment on column assignment_fact.group_id is 'as in assignment_dim';
comment on column assignment_fact.user_id is 'people import, assignment rows: assignee, or the members of that team or group';
comment on column assignment_fact.assignment_id is 'as in assignment_dim';
comment on column assignment_fact.is_completed is 'true with a completed_at';
comment on column assignment_fact.completion_status is 'late if completed after due_at, else completed; not completed: missed after due_at, else in_progress';
comment on column assignment_fact.assigned_at is 'as created_at in assignment_dim';
comment on column assignment_fact.due_at is 'as in assignment_dim';
comment on column assignment_fact.completed_at is 'first completion of the content in the assignment''s organization; for xp, timestamp of the statement with which the learner''s XP since created_at reached assignment_xp';
comment on column assignment_fact.email_sent_at is 'no source: null';
comment on column assignment_fact.reminder_sent_at is 'no source: null';

comment on column certification_dim.certification_id is 'assigned at the first appearance of the certification; stable';
comment on column certification_dim.certification_name is 'definition, name, in the partner''s language; else title or name of a track event; else the last part of the activity''s IRI';
comment on column certification_dim.certification_version is 'definition, extension http://datacamp.com/version';

comment on column certification_fact.group_id is 'the group of the statements'' organization';
comment on column certification_fact.user_certification_id is 'learner, certification, and context.registration or the number of the attempt';
comment on column certification_fact.user_id is 'the learner: actor; user of a track event';
comment on column certification_fact.certification_id is 'the certification: object.id, or the parent of the exam or case study';
comment on column certification_fact.registered_at is 'timestamp of the first registered';
comment on column certification_fact.expired_at is 'registered_at plus the catalog''s valid_days; null without';
comment on column certification_fact.assessments_passed_at is 'when all assessments of the catalog''s stage assessment were passed';
comment on column certification_fact.coding_challenge_passed_at is 'when all content items of the catalog''s stage coding_challenge were passed';
comment on column certification_fact.first_exam_started_at is 'timestamp of the first started of an assessment whose parent is the certification';
comment on column certification_fact.first_exam_completed_at is 'timestamp of the first completed of an assessment whose parent is the certification';
comment on column certification_fact.exam_last_passed_at is 'timestamp of the last passed, or completed with result.success, of an assessment whose parent is the certification';
comment on column certification_fact.case_study_ready_at is 'when all content items of the catalog''s stage exam were passed';
comment on column certification_fact.first_case_study_submitted_at is 'timestamp of the first completed of a project whose parent is the certification';
comment on column certification_fact.last_case_study_submitted_at is 'timestamp of the last completed of a project whose parent is the certification';
comment on column certification_fact.certificate_granted_at is 'timestamp of the first completed of the certification itself';
comment on column certification_fact.is_passed_assessments is 'whether there is an assessments_passed_at; null without this stage in the catalog';
comment on column certification_fact.is_passed_challenges is 'whether there is a coding_challenge_passed_at; null without this stage in the catalog';
comment on column certification_fact.is_passed_exams is 'whether there is a case_study_ready_at; null without the stage exam in the catalog';

comment on column exercise_dim.exercise_id is 'assigned at the first appearance of the exercise; stable';
comment on column exercise_dim.title is 'definition, name, in the partner''s language; else title or name of a track event; else the last part of the activity''s IRI';
comment on column exercise_dim.type is 'definition, extension http://datacamp.com/exerciseType, else interactionType';
comment on column exercise_dim.number is 'definition, extension http://datacamp.com/number';
comment on column exercise_dim.xp is 'definition, extension http://datacamp.com/xp: the maximum';
comment on column exercise_dim.technology is 'the course''s, else the exercise''s own';
comment on column exercise_dim.topic is 'the course''s, else the exercise''s own';
comment on column exercise_dim.course_title is 'the course''s title';
comment on column exercise_dim.course_slug is 'the course''s slug';
comment on column exercise_dim.course_xp is 'the course''s course_xp';
comment on column exercise_dim.course_description is 'the course''s description';
comment on column exercise_dim.course_short_description is 'the course''s short_description';
comment on column exercise_dim.course_launched_date is 'the course''s launched_date';
comment on column exercise_dim.chapter_title is 'the chapter''s title';
comment on column exercise_dim.chapter_slug is 'the chapter''s slug';
comment on column exercise_dim.chapter_xp is 'the chapter''s xp';
comment on column exercise_dim.chapter_nb_exercises is 'the chapter''s nb_exercises';
comment on column exercise_dim.id is 'exercise_id';

comment on column exercise_fact.user_id is 'the learner: actor; user of a track event';
comment on column exercise_fact.exercise_id is 'the exercise: object.id, by object.definition.type; -1 if that was deleted';
comment on column exercise_fact.date_id is 'the day of timestamp in the partner''s time zone, as yyyymmdd';
comment on column exercise_fact.started_at is 'timestamp of the first statement but registered, on shown days';
comment on column exercise_fact.completed_at is 'timestamp of the first completed, or with result.completion, if not after this day';
comment on column exercise_fact.time_spent is 'result.duration of the day, in seconds';
comment on column exercise_fact.xp is 'result or context, extension http://datacamp.com/xp, summed over the day';

comment on column chapter_dim.chapter_id is 'assigned at the first appearance of the chapter; stable';
comment on column chapter_dim.title is 'definition, name, in the partner''s language; else title or name of a track event; else the last part of the activity''s IRI';
comment on column chapter_dim.slug is 'definition, extension http://datacamp.com/slug';
comment on column chapter_dim.xp is 'definition, extension http://datacamp.com/xp: the maximum';
comment on column chapter_dim.technology is 'the course''s, else the chapter''s own';
comment on column chapter_dim.topic is 'the course''s, else the chapter''s own';
comment on column chapter_dim.nb_exercises is 'definition, extension http://datacamp.com/nbExercises; else the number of its exercises';
comment on column chapter_dim.course_title is 'the course''s title';
comment on column chapter_dim.course_slug is 'the course''s slug';
comment on column chapter_dim.course_xp is 'the course''s course_xp';
comment on column chapter_dim.course_description is 'the course''s description';
comment on column chapter_dim.course_short_description is 'the course''s short_description';
comment on column chapter_dim.course_launched_date is 'the course''s launched_date';
comment on column chapter_dim.id is 'chapter_id';

comment on column chapter_fact.user_id is 'the learner: actor; user of a track event';
comment on column chapter_fact.chapter_id is 'the chapter: object.id, by object.definition.type; -1 if that was deleted';
comment on column chapter_fact.date_id is 'the day of timestamp in the partner''s time zone, as yyyymmdd';
comment on column chapter_fact.started_at is 'timestamp of the first statement but registered, on shown days';
comment on column chapter_fact.completed_at is 'timestamp of the first completed, or with result.completion, if not after this day';
comment on column chapter_fact.time_spent is 'result.duration of the day, in seconds';
comment on column chapter_fact.xp is 'result or context, extension http://datacamp.com/xp, summed over the day';

comment on column course_dim.course_id is 'assigned at the first appearance of the course; stable';
comment on column course_dim.title is 'definition, name, in the partner''s language; else title or name of a track event; else the last part of the activity''s IRI';
comment on column course_dim.technology is 'definition, extension http://datacamp.com/topics: the first topic that the vocabulary lists as a technology';
comment on column course_dim.topic is 'definition, extension http://datacamp.com/topics: the first topic that the vocabulary does not list as a technology';
comment on column course_dim.course_xp is 'definition, extension http://datacamp.com/xp: the maximum; the vendor''s xp';
comment on column course_dim.nb_hours_needed is 'definition, extension http://datacamp.com/nbHoursNeeded';
comment on column course_dim.slug is 'definition, extension http://datacamp.com/slug';
comment on column course_dim.description is 'definition, description';
comment on column course_dim.short_description is 'definition, extension http://datacamp.com/shortDescription';
comment on column course_dim.launched_date is 'definition, extension http://datacamp.com/launchedDate';
comment on column course_dim.id is 'course_id';

comment on column course_fact.user_id is 'the learner: actor; user of a track event';
comment on column course_fact.course_id is 'the course: object.id, by object.definition.type; of a track event content_id; of a Canvas callback the course that the tool was launched from; -1 if that was deleted';
comment on column course_fact.date_id is 'the day of timestamp in the partner''s time zone, as yyyymmdd';
comment on column course_fact.started_at is 'timestamp of the first statement but registered on the course or one of its parts, on shown days';
comment on column course_fact.completed_at is 'timestamp of the first completed, or with result.completion, if not after this day';
comment on column course_fact.time_spent is 'result.duration of the day; of track events, by how much duration_spent grew that day; of Canvas callbacks all of result.duration; in seconds, of the course and its parts';
comment on column course_fact.xp is 'result or context, extension http://datacamp.com/xp, summed over the day, of the course and its parts';

comment on column practice_dim.practice_id is 'assigned at the first appearance of the practice; stable';
comment on column practice_dim.title is 'definition, name, in the partner''s language; else title or name of a track event; else the last part of the activity''s IRI';
comment on column practice_dim.status is 'definition, extension http://datacamp.com/status';
comment on column practice_dim.technology is 'definition, extension http://datacamp.com/topics: the first topic that the vocabulary lists as a technology';
comment on column practice_dim.xp is 'definition, extension http://datacamp.com/xp: the maximum';
comment on column practice_dim.id is 'practice_id';

comment on column practice_fact.user_id is 'the learner: actor; user of a track event';
comment on column practice_fact.practice_id is 'the practice: object.id, by object.definition.type';
comment on column practice_fact.date_id is 'the day of timestamp in the partner''s time zone, as yyyymmdd';
comment on column practice_fact.started_at is 'timestamp of the first statement but registered, on shown days';
comment on column practice_fact.completed_at is 'timestamp of the first completed, or with result.completion, if not after this day';
comment on column practice_fact.is_mobile is 'result or context, extension http://datacamp.com/isMobile: whether any of the day says so';
comment on column practice_fact.time_spent is 'result.duration of the day, in seconds';
comment on column practice_fact.xp is 'result or context, extension http://datacamp.com/xp, summed over the day';

comment on column project_dim.project_id is 'assigned at the first appearance of the project; stable';
comment on column project_dim.title is 'definition, name, in the partner''s language; else title or name of a track event; else the last part of the activity''s IRI';
comment on column project_dim.technology is 'definition, extension http://datacamp.com/topics: the first topic that the vocabulary lists as a technology';
comment on column project_dim.xp is 'definition, extension http://datacamp.com/xp: the maximum';
comment on column project_dim.nb_hours_needed is 'definition, extension http://datacamp.com/nbHoursNeeded';
comment on column project_dim.is_guided is 'definition, extension http://datacamp.com/isGuided';
comment on column project_dim.is_certification is 'definition, extension http://datacamp.com/isCertification';
comment on column project_dim.description is 'definition, description';
comment on column project_dim.short_description is 'definition, extension http://datacamp.com/shortDescription';
comment on column project_dim.id is 'project_id';

comment on column project_fact.user_id is 'the learner: actor; user of a track event';
comment on column project_fact.project_id is 'the project: object.id, by object.definition.type';
comment on column project_fact.date_id is 'the day of timestamp in the partner''s time zone, as yyyymmdd';
comment on column project_fact.started_at is 'timestamp of the first statement but registered, on shown days';
comment on column project_fact.completed_at is 'timestamp of the first completed, or with result.completion, if not after this day';
comment on column project_fact.time_spent is 'result.duration of the day, in seconds';
comment on column project_fact.xp is 'result or context, extension http://datacamp.com/xp, summed over the day';

comment on column track_content_dim.track_version_id is 'that of track_dim; without the catalog, of the current version';
comment on column track_content_dim.track_id is 'the track''s id';
comment on column track_content_dim.content_id is 'type and id of the content, as course-12';
comment on column track_content_dim.content_type is 'object.definition.type, by the vocabulary';
comment on column track_content_dim.content_title is 'the content''s title';
comment on column track_content_dim.position is 'catalog; null without';
comment on column track_content_dim.xp is 'the content''s definition, extension http://datacamp.com/xp';

comment on column track_content_fact.group_id is 'the group of the statements'' organization on the track';
comment on column track_content_fact.user_id is 'the learner: actor; user of a track event';
comment on column track_content_fact.track_version_id is 'that of track_fact';
comment on column track_content_fact.content_id is 'as in track_content_dim';
comment on column track_content_fact.date_id is 'the day of started_at';
comment on column track_content_fact.started_at is 'as in track_fact';
comment on column track_content_fact.completed_at is 'as in track_fact';
comment on column track_content_fact.xp is 'the learner''s XP on the content, on all days shown';
comment on column track_content_fact.nb_seconds is 'the learner''s time on the content, on all days shown';

comment on column track_dim.track_version_id is 'assigned to the catalog''s version; the track''s id for a track without versions';
comment on column track_dim.track_id is 'assigned at the first appearance of the track; stable';
comment on column track_dim.version_number is 'catalog; else definition, extension http://datacamp.com/versionNumber';
comment on column track_dim.title is 'definition, name, in the partner''s language; else title or name of a track event; else the last part of the activity''s IRI';
comment on column track_dim.technology is 'definition, extension http://datacamp.com/topics: the first topic that the vocabulary lists as a technology';
comment on column track_dim.category is 'definition, extension http://datacamp.com/category';
comment on column track_dim.short_description is 'definition, extension http://datacamp.com/shortDescription';
comment on column track_dim.published_live_at is 'definition, extension http://datacamp.com/publishedLiveAt';
comment on column track_dim.archived_at is 'definition, extension http://datacamp.com/archivedAt';
comment on column track_dim.is_current_version is 'definition, extension http://datacamp.com/isCurrentVersion';
comment on column track_dim.is_custom is 'definition, extension http://datacamp.com/isCustom';
comment on column track_dim.nb_courses is 'number of courses in track_content_dim; null without content items';
comment on column track_dim.nb_projects is 'number of projects in track_content_dim; null without content items';
comment on column track_dim.xp is 'definition, extension http://datacamp.com/xp: the maximum';

comment on column track_fact.group_id is 'the group of the statements'' organization';
comment on column track_fact.user_id is 'the learner: actor; user of a track event';
comment on column track_fact.track_version_id is 'the version that was live at started_at, else the current one; the track: object.id, by object.definition.type';
comment on column track_fact.date_id is 'the day of started_at';
comment on column track_fact.started_at is 'timestamp of the first statement about the track';
comment on column track_fact.completed_at is 'timestamp of the first completed of the track';
comment on column track_fact.is_currently_active is 'true unless completed';

comment on column publication_fact.group_id is 'the group of the statements'' organization';
comment on column publication_fact.creator_id is 'actor of the first created; null without one';
comment on column publication_fact.workspace_id is 'the workspace: object.id, by object.definition.type';
comment on column publication_fact.viewed_at is 'the day of viewed, from the first published on';
comment on column publication_fact.nb_viewers is 'number of distinct actors viewed it';
comment on column publication_fact.nb_seconds is 'result.duration of viewed on that day, in seconds';
comment on column publication_fact.viewer_type is 'creator if actor is who created it, else viewer';

comment on column workspace_dim.workspace_id is 'assigned at the first appearance of the workspace; stable';
comment on column workspace_dim.workspace_title is 'definition, name, in the partner''s language; else title or name of a track event; else the last part of the activity''s IRI';
comment on column workspace_dim.technology is 'definition, extension http://datacamp.com/topics: the first topic that the vocabulary lists as a technology';
comment on column workspace_dim.owner_type is 'definition, extension http://datacamp.com/ownerType';
comment on column workspace_dim.category is 'definition, extension http://datacamp.com/category';
comment on column workspace_dim.key is 'definition, extension http://datacamp.com/key';
comment on column workspace_dim.is_featured is 'definition, extension http://datacamp.com/isFeatured';
comment on column workspace_dim.group_id is 'the group of the organization of the first created; else the catalog''s organization';

comment on column workspace_fact.creator_id is 'actor of the first created; null without one';
comment on column workspace_fact.workspace_id is 'the workspace: object.id, by object.definition.type';
comment on column workspace_fact.nb_megabytes is 'definition, extension http://datacamp.com/nbMegabytes';
comment on column workspace_fact.nb_attempts_to_publish is 'number of published and publish_failed';
comment on column workspace_fact.nb_times_published_successfully is 'number of published';
comment on column workspace_fact.nb_upvotes is 'number of upvoted';
comment on column workspace_fact.nb_shares is 'number of shared';
comment on column workspace_fact.created_at is 'timestamp of the first created';
comment on column workspace_fact.updated_at is 'of the last created, edited, integrated or published';
comment on column workspace_fact.first_edited_at is 'timestamp of the first edited';
comment on column workspace_fact.last_edited_at is 'timestamp of the last edited';
comment on column workspace_fact.first_published_at is 'timestamp of the first published';
comment on column workspace_fact.last_published_at is 'timestamp of the last published';
comment on column workspace_fact.first_integration_added_at is 'timestamp of the first integrated';
comment on column workspace_fact.last_integration_added_at is 'timestamp of the last integrated';
comment on column workspace_fact.first_upvoted_at is 'timestamp of the first upvoted';
comment on column workspace_fact.last_upvoted_at is 'timestamp of the last upvoted';
comment on column workspace_fact.group_id is 'the group of the organization of the first created';

comment on column workspace_visit_fact.visitor_id is 'the visitor: actor; user of a track event';
comment on column workspace_visit_fact.workspace_id is 'the workspace: object.id, by object.definition.type';
comment on column workspace_visit_fact.visited_at is 'the day of viewed';
comment on column workspace_visit_fact.nb_seconds is 'result.duration of viewed on that day, in seconds';
comment on column workspace_visit_fact.group_id is 'the group of the statements'' organization';

comment on column team_dim.team_id is 'assigned at the first import; stable';
comment on column team_dim.name is 'people import, team rows: name';
comment on column team_dim.slug is 'people import, team rows: team';
comment on column team_dim.created_date is 'people import, team rows: created_date';
comment on column team_dim.updated_date is 'people import, team rows: updated_date';
comment on column team_dim.deleted_date is 'people import, team rows: deleted_date';
comment on column team_dim.id is 'team_id';

comment on column user_dim.user_id is 'assigned at the first appearance or import; stable';
comment on column user_dim.first_name is 'people import, user rows: first_name; without any name there, from actor.name';
comment on column user_dim.last_name is 'people import, user rows: last_name; without any name there, the last word of actor.name, or what precedes its comma';
comment on column user_dim.email is 'people import, user rows: email; else any mbox of the learner';
comment on column user_dim.slug is 'people import, user rows: slug';
comment on column user_dim.id is 'user_id';

comment on column group_dim.group_id is 'assigned at its first appearance or import; stable';
comment on column group_dim.name is '{organization} in the path, or orgid of a track event; empty for the partner itself';
comment on column group_dim.title is 'people import, group rows: title';
comment on column group_dim.id is 'group_id';

comment on column date_dim.date_id is 'yyyymmdd';
comment on column date_dim.date is 'the calendar: 1970-01-01 to 2099-12-31';
comment on column date_dim.year is 'the calendar';
comment on column date_dim.quarter is '1 to 4';
comment on column date_dim.month is '1 to 12';
comment on column date_dim.month_name is 'in English';
comment on column date_dim.week is 'ISO 8601 week number';
comment on column date_dim.week_start_date is 'the Monday of the week';
comment on column date_dim.day is 'of the month';
comment on column date_dim.day_of_week is '1 is Monday, 7 is Sunday';
comment on column date_dim.day_name is 'in English';
comment on column date_dim.is_weekend is 'Saturday or Sunday';
comment on column date_dim.id is 'date_id';

comment on column user_team_bridge.user_id is 'people import, membership rows: user';
comment on column user_team_bridge.team_id is 'people import, membership rows: team, if today is within from and to';

comment on column content_dim.content_id is 'assigned at the first appearance of the content item; stable. Equals course_id and its like in the Data Connector tables';
comment on column content_dim.activity_id is 'object.id: the activity''s IRI; for a callback, the course of the launch';
comment on column content_dim.track_content_id is 'content_id of a track event';
comment on column content_dim.type is 'definition, type: by the vocabulary, else as IRI; without one, reported_type';
comment on column content_dim.reported_type is 'the type of the Data Connector tables that have the content item: that of the definition, of the statement or the default of the partner; null for none';
comment on column content_dim.title is 'definition, name, in the partner''s language; else title or name of a track event; else the last part of the activity''s IRI';
comment on column content_dim.parent_id is 'content_id of the parent: definition, extension parentId; else the first of context.contextActivities.parent';
comment on column content_dim.parent_title is 'title of the parent';
comment on column content_dim.source is 'the source of the newest statement: xapi, track or canvas';
comment on column content_dim.url is 'definition, moreInfo; else the activity''s IRI, if it is an address';
comment on column content_dim.deleted_at is 'when the content item was deleted; the Data Connector tables have -1 for it';

comment on column content_fact.user_id is 'the learner: actor; user of a track event';
comment on column content_fact.content_id is 'as in content_dim';
comment on column content_fact.date_id is 'the day of timestamp, as yyyymmdd';
comment on column content_fact.group_id is 'the group of the organization; without one, the partner''s';
comment on column content_fact.organization is 'the organization: path of the statements, or orgid of a track event; null for none';
comment on column content_fact.time_spent is 'result.duration of the day, in seconds';
comment on column content_fact.xp is 'result or context, extension http://datacamp.com/xp: the sum of the day';
comment on column content_fact.score is 'result.score in percent: the last of the day';
comment on column content_fact.raw_score is 'result.score.raw, else 100 times result.score.scaled: the last of the day';
comment on column content_fact.progress is 'progress in percent: the last of the day; 100 once completed';
comment on column content_fact.status is 'by the end of the day: completed, in_progress or not_started';
comment on column content_fact.is_member is 'whether the learner was a member of the group on the day, or is in no group: the vendor''s facts have these days only';

comment on column learner_dim.user_id is 'as in user_dim';
comment on column learner_dim.external_id is 'people import, user rows: user';
comment on column learner_dim.name is 'the imported first and last name; else actor.name; else email, external_id or another identifier. Never null';
comment on column learner_dim.first_name is 'as in user_dim';
comment on column learner_dim.last_name is 'as in user_dim';
comment on column learner_dim.email is 'as in user_dim';
comment on column learner_dim.organization is 'the groups of today''s memberships; without any, the organizations of the learner''s records. Several are separated by a comma';
comment on column learner_dim.identifiers is 'all identifiers, as JSON array of objects with kind, value and home_page';

comment on column learner_identifier_dim.user_id is 'as in user_dim';
comment on column learner_identifier_dim.kind is 'mbox, mbox_sha1sum, openid, account, or track: an account at the partner''s own home page';
comment on column learner_identifier_dim.identifier is 'the address, digest, OpenID, or name of the account';
comment on column learner_identifier_dim.home_page is 'of an account';
comment on column learner_identifier_dim.name is 'actor.name in the newest statement with this identifier that has one';
comment on column learner_identifier_dim.is_imported is 'whether a people import assigned it';

comment on column learner_record.user_id is 'as in user_dim';
comment on column learner_record.external_id is 'as in learner_dim; user over HTTP';
comment on column learner_record.name is 'as in learner_dim';
comment on column learner_record.email is 'as in user_dim';
comment on column learner_record.content_id is 'as in content_dim';
comment on column learner_record.activity_id is 'as in content_dim';
comment on column learner_record.title is 'as in content_dim';
comment on column learner_record.type is 'as in content_dim';
comment on column learner_record.group_id is 'as in content_fact';
comment on column learner_record.organization is 'as in content_fact';
comment on column learner_record.status is 'not_started, in_progress or completed; deleted in an increment';
comment on column learner_record.success is 'result.success, or by the verb: the last value';
comment on column learner_record.progress is 'progress in percent: the last value; 100 once completed';
comment on column learner_record.started_at is 'timestamp of the first statement but registered';
comment on column learner_record.last_activity_at is 'timestamp of the last statement';
comment on column learner_record.completed_at is 'timestamp of the first completed';
comment on column learner_record.time_spent is 'result.duration of all statements, in seconds';
comment on column learner_record.best_score is 'result.score in percent: the highest; of an assessment on the scale of the sender';
comment on column learner_record.last_score is 'result.score in percent: the last; of an assessment on the scale of the sender';
comment on column learner_record.best_raw_score is 'result.score.raw, else 100 times result.score.scaled: the highest';
comment on column learner_record.last_raw_score is 'result.score.raw, else 100 times result.score.scaled: the last';
comment on column learner_record.attempts is 'registrations, starts without one, and restarts of the totals of track events';
comment on column learner_record.source is 'the source of the last statement: xapi, track or canvas';
comment on column learner_record.updated_at is 'when the record last changed';

comment on column uncounted.reason is 'no table for the type, outside the membership, enrolment only, no column of workspaces, deleted learner, group as actor; agent, group, statement or sub-statement as object';
comment on column uncounted.statement_id is 'id of a statement that is no work of one learner on one content item; null in a row of a content item';
comment on column uncounted.content_id is 'as in content_dim';
comment on column uncounted.activity_id is 'as in content_dim';
comment on column uncounted.type is 'as in content_dim';
comment on column uncounted.title is 'as in content_dim';
comment on column uncounted.statements is 'the number of statements';
