"""The report tables: those of the vendor's data model, those of all contents, and `statements`.

`sql/report_facts.sql` and `sql/report_dimensions.sql` have the query of each of the vendor's
tables, `sql/report_contents.sql` those of the others, docs/report-tables.md the source of each
column. A test compares the three with each other and with the vendor's document.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lrs import resources

Type = Literal["integer", "double", "text", "boolean", "date", "timestamp"]
Kind = Literal["fact", "dimension", "bridge", "records", "list", "statements"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column and its type, which every file format keeps."""

    name: str
    type: Type


@dataclass(frozen=True, slots=True)
class Table:
    """A table.

    Rows of a `daily` table belong to a day: an export can contain changed days only.
    """

    name: str
    kind: Kind
    description: str
    columns: tuple[Column, ...]
    daily: bool = False


def _table(name: str, description: str, *groups: str, daily: bool = False) -> Table:
    """A table; each group is a type and the columns of that type: "integer: user_id date_id"."""
    columns = []
    for group in groups:
        type_, _, names = group.partition(": ")
        columns += [Column(column, type_) for column in names.split()]  # type: ignore[arg-type]
    return Table(name, _kind(name), description, tuple(columns), daily)


def _kind(name: str) -> Kind:
    kinds: dict[str, Kind] = {
        "fact": "fact",
        "dim": "dimension",
        "bridge": "bridge",
        "record": "records",
        "uncounted": "list",
        "statements": "statements",
    }
    return kinds[name.rpartition("_")[2]]


_WORK = ("timestamp: started_at completed_at", "double: time_spent xp")
_COURSE = (
    "text: course_title course_slug",
    "double: course_xp",
    "text: course_description course_short_description",
    "date: course_launched_date",
)

_VENDOR = (
    _table(
        "assessment_dim",
        "The assessments.",
        "integer: assessment_id",
        "text: title slug technology",
        "integer: id",
    ),
    _table(
        "assessment_fact",
        "Results of assessments, by learner and day.",
        "integer: user_id assessment_id date_id",
        "timestamp: started_at completed_at",
        "double: score",
        "text: score_group",
        "double: percentile time_spent",
        daily=True,
    ),
    _table(
        "assignment_dim",
        "The assignments, as they were imported.",
        "integer: group_id assignment_id created_by_id",
        "text: assignment_type assignment_title assignment_status assignee_type",
        "double: assignment_xp",
        "text: technology topic",
        "timestamp: due_at created_at updated_at deleted_at",
    ),
    _table(
        "assignment_fact",
        "The progress of each assignee on an assignment.",
        "integer: group_id user_id assignment_id",
        "boolean: is_completed",
        "text: completion_status",
        "timestamp: assigned_at due_at completed_at email_sent_at reminder_sent_at",
    ),
    _table(
        "certification_dim",
        "The certifications.",
        "integer: certification_id",
        "text: certification_name certification_version",
    ),
    _table(
        "certification_fact",
        "Attempts at certifications and the steps passed.",
        "integer: group_id",
        "text: user_certification_id",
        "integer: user_id certification_id",
        "timestamp: registered_at expired_at assessments_passed_at coding_challenge_passed_at",
        "timestamp: first_exam_started_at first_exam_completed_at exam_last_passed_at",
        "timestamp: case_study_ready_at first_case_study_submitted_at",
        "timestamp: last_case_study_submitted_at certificate_granted_at",
        "boolean: is_passed_assessments is_passed_challenges is_passed_exams",
    ),
    _table(
        "exercise_dim",
        "The exercises, with their chapters and courses; -1 is every deleted one.",
        "integer: exercise_id",
        "text: title type",
        "integer: number",
        "double: xp",
        "text: technology topic",
        *_COURSE,
        "text: chapter_title chapter_slug",
        "double: chapter_xp",
        "integer: chapter_nb_exercises id",
    ),
    _table(
        "exercise_fact",
        "Work on exercises, by learner and day.",
        "integer: user_id exercise_id date_id",
        *_WORK,
        daily=True,
    ),
    _table(
        "chapter_dim",
        "The chapters, with their courses; -1 is every deleted one.",
        "integer: chapter_id",
        "text: title slug",
        "double: xp",
        "text: technology topic",
        "integer: nb_exercises",
        *_COURSE,
        "integer: id",
    ),
    _table(
        "chapter_fact",
        "Work on chapters, by learner and day.",
        "integer: user_id chapter_id date_id",
        *_WORK,
        daily=True,
    ),
    _table(
        "course_dim",
        "The courses; -1 is every deleted one.",
        "integer: course_id",
        "text: title technology topic",
        "double: course_xp nb_hours_needed",
        "text: slug description short_description",
        "date: launched_date",
        "integer: id",
    ),
    _table(
        "course_fact",
        "Work on courses, by learner and day.",
        "integer: user_id course_id date_id",
        *_WORK,
        daily=True,
    ),
    _table(
        "practice_dim",
        "The practices.",
        "integer: practice_id",
        "text: title status technology",
        "double: xp",
        "integer: id",
    ),
    _table(
        "practice_fact",
        "Work on practices, by learner and day.",
        "integer: user_id practice_id date_id",
        "timestamp: started_at completed_at",
        "boolean: is_mobile",
        "double: time_spent xp",
        daily=True,
    ),
    _table(
        "project_dim",
        "The projects.",
        "integer: project_id",
        "text: title technology",
        "double: xp nb_hours_needed",
        "boolean: is_guided is_certification",
        "text: description short_description",
        "integer: id",
    ),
    _table(
        "project_fact",
        "Work on projects, by learner and day.",
        "integer: user_id project_id date_id",
        *_WORK,
        daily=True,
    ),
    _table(
        "track_content_dim",
        "The content items of the tracks.",
        "integer: track_version_id track_id",
        "text: content_id content_type content_title",
        "integer: position",
        "double: xp",
    ),
    _table(
        "track_content_fact",
        "Work of learners on each content item of their tracks.",
        "integer: group_id user_id track_version_id",
        "text: content_id",
        "integer: date_id",
        "timestamp: started_at completed_at",
        "double: xp nb_seconds",
    ),
    _table(
        "track_dim",
        "The tracks.",
        "integer: track_version_id track_id version_number",
        "text: title technology category short_description",
        "timestamp: published_live_at archived_at",
        "boolean: is_current_version is_custom",
        "integer: nb_courses nb_projects",
        "double: xp",
    ),
    _table(
        "track_fact",
        "Learners on tracks.",
        "integer: group_id user_id track_version_id date_id",
        "timestamp: started_at completed_at",
        "boolean: is_currently_active",
    ),
    _table(
        "publication_fact",
        "Views of published workspaces, by day and kind of viewer.",
        "integer: group_id creator_id workspace_id",
        "date: viewed_at",
        "integer: nb_viewers",
        "double: nb_seconds",
        "text: viewer_type",
    ),
    _table(
        "workspace_dim",
        "The workspaces.",
        "integer: workspace_id",
        "text: workspace_title technology owner_type category key",
        "boolean: is_featured",
        "integer: group_id",
    ),
    _table(
        "workspace_fact",
        "Workspaces created by learners, and their edits, publications and votes.",
        "integer: creator_id workspace_id",
        "double: nb_megabytes",
        "integer: nb_attempts_to_publish nb_times_published_successfully nb_upvotes nb_shares",
        "timestamp: created_at updated_at first_edited_at last_edited_at",
        "timestamp: first_published_at last_published_at",
        "timestamp: first_integration_added_at last_integration_added_at",
        "timestamp: first_upvoted_at last_upvoted_at",
        "integer: group_id",
    ),
    _table(
        "workspace_visit_fact",
        "Visits to workspaces, by visitor and day.",
        "integer: visitor_id workspace_id",
        "date: visited_at",
        "double: nb_seconds",
        "integer: group_id",
    ),
    _table(
        "team_dim",
        "The teams, as they were imported.",
        "integer: team_id",
        "text: name slug",
        "date: created_date updated_date deleted_date",
        "integer: id",
    ),
    _table(
        "user_dim",
        "The learners.",
        "integer: user_id",
        "text: first_name last_name email slug",
        "integer: id",
    ),
    _table(
        "group_dim",
        "The groups: organizations, and the partner itself.",
        "integer: group_id",
        "text: name title",
        "integer: id",
    ),
    _table(
        "date_dim",
        "The days from 1970 to 2099.",
        "integer: date_id",
        "date: date",
        "integer: year quarter month",
        "text: month_name",
        "integer: week",
        "date: week_start_date",
        "integer: day day_of_week",
        "text: day_name",
        "boolean: is_weekend",
        "integer: id",
    ),
    _table(
        "user_team_bridge",
        "The teams that learners are in today.",
        "integer: user_id team_id",
    ),
)

LEARNER_RECORD = _table(
    "learner_record",
    "The learner records: status, progress, dates, time and score.",
    "integer: user_id",
    "text: external_id name email",
    "integer: content_id",
    "text: activity_id title type",
    "integer: group_id",
    "text: organization status",
    "boolean: success",
    "double: progress",
    "timestamp: started_at last_activity_at completed_at",
    "double: time_spent best_score last_score best_raw_score last_raw_score",
    "integer: attempts",
    "text: source",
    "timestamp: updated_at",
)

_CONTENTS = (
    _table(
        "content_dim",
        "The content items of all types.",
        "integer: content_id",
        "text: activity_id track_content_id type reported_type title",
        "integer: parent_id",
        "text: parent_title source url",
        "timestamp: deleted_at",
    ),
    _table(
        "content_fact",
        "Work on content items of all types, by learner, organization and day.",
        "integer: user_id content_id date_id group_id",
        "text: organization",
        "double: time_spent xp score raw_score progress",
        "text: status",
        "boolean: is_member",
        daily=True,
    ),
    _table(
        "learner_dim",
        "The learners with their names, organizations and identifiers.",
        "integer: user_id",
        "text: external_id name first_name last_name email organization identifiers",
    ),
    _table(
        "learner_identifier_dim",
        "The identifiers of the learners.",
        "integer: user_id",
        "text: kind identifier home_page name",
        "boolean: is_imported",
    ),
    LEARNER_RECORD,
    _table(
        "uncounted",
        "Statements that are in none of the tables of the vendor, with the reason.",
        "text: reason statement_id",
        "integer: content_id",
        "text: activity_id type title",
        "integer: statements",
    ),
)

REPORTS = (*_VENDOR, *_CONTENTS)

STATEMENTS = _table(
    "statements",
    "The statements in the order of `stored`.",
    "text: id",
    "timestamp: stored",
    "integer: user_id content_id",
    "text: timestamp organization actor verb object result context payload",
)

TABLES = {table.name: table for table in (*REPORTS, STATEMENTS)}
"""All tables by name, the statements last."""


def select(table: str) -> str:
    """The query for the rows of a report table; its parameter is the partner id."""
    return resources.query(table)
