"""The report tables: those of the vendor's data model, those of all contents, and `statements`.

`sql/report_contents.sql` has the query of each table of all contents, docs/report-tables.md the
source of each column. A test compares them with each other.
"""

from __future__ import annotations

from lrs import resources
from lrs.reports.table_model import table
from lrs.reports.vendor_tables import VENDOR_TABLES

LEARNER_RECORD = table(
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
    table(
        "content_dim",
        "The content items of all types.",
        "integer: content_id",
        "text: activity_id track_content_id type reported_type title",
        "integer: parent_id",
        "text: parent_title source url",
        "timestamp: deleted_at",
    ),
    table(
        "content_fact",
        "Work on content items of all types, by learner, organization and day.",
        "integer: user_id content_id date_id group_id",
        "text: organization",
        "double: time_spent xp score raw_score progress",
        "text: status",
        "boolean: is_member",
        daily=True,
    ),
    table(
        "learner_dim",
        "The learners with their names, organizations and identifiers.",
        "integer: user_id",
        "text: external_id name first_name last_name email organization identifiers",
    ),
    table(
        "learner_identifier_dim",
        "The identifiers of the learners.",
        "integer: user_id",
        "text: kind identifier home_page name",
        "boolean: is_imported",
    ),
    LEARNER_RECORD,
    table(
        "uncounted",
        "Statements that are in none of the tables of the vendor, with the reason.",
        "text: reason statement_id",
        "integer: content_id",
        "text: activity_id type title",
        "integer: statements",
    ),
)

REPORTS = (*VENDOR_TABLES, *_CONTENTS)

STATEMENTS = table(
    "statements",
    "The statements in the order of `stored`.",
    "text: id",
    "timestamp: stored",
    "integer: user_id content_id",
    "text: timestamp organization actor verb object result context payload",
)

TABLES = {item.name: item for item in (*REPORTS, STATEMENTS)}
"""All tables by name, the statements last."""


def select(name: str) -> str:
    """The query for the rows of a report table; its parameter is the partner id."""
    return resources.query(name)
