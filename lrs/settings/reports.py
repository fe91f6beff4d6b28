"""The projection, reporting roles and exports."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from lrs.settings.fields import ADDRESS_PATTERN, THREE_WEEKS, expected, subject


@subject
class ReportSettings:
    """The projection, reporting roles and exports."""

    projection_enabled: Annotated[
        bool,
        Meta(description="Run the projector, which keeps learner records and reports up to date."),
    ] = True
    vocabulary_path: Annotated[
        str,
        Meta(
            description=(
                "File that maps further verbs, activity types and extensions to their meaning in "
                "reports. Empty: the built-in vocabulary only."
            )
        ),
    ] = ""
    reports_address: Annotated[
        str,
        Meta(
            pattern=ADDRESS_PATTERN,
            extra_json_schema=expected("a host and a port such as 127.0.0.1:5433"),
            description=(
                "Host and port where the embedded PostgreSQL admits reporting roles, such as "
                "`127.0.0.1:5433`. Empty: its Unix socket only."
            ),
        ),
    ] = ""
    report_transaction_timeout_seconds: Annotated[
        float,
        Meta(
            ge=1,
            le=THREE_WEEKS,
            description=(
                "Timeout of a transaction of a reporting role, and so of a query; its session is "
                "ended."
            ),
        ),
    ] = 3600.0
    max_report_memory_bytes: Annotated[
        int,
        Meta(
            ge=67_108_864,
            description=(
                "Maximum memory of all sessions of a reporting role on the embedded PostgreSQL; "
                "the largest are ended beyond it."
            ),
        ),
    ] = 1_073_741_824
    max_report_temp_file_bytes: Annotated[
        int,
        Meta(
            ge=1_048_576,
            description=(
                "Maximum size of temporary files of all sessions of a reporting role on the "
                "embedded PostgreSQL, and at most a quarter of the free space; the largest are "
                "ended beyond it."
            ),
        ),
    ] = 1_073_741_824
    max_concurrent_exports: Annotated[
        int,
        Meta(
            ge=1,
            le=1000,
            description=(
                "Maximum number of concurrent exports in one worker that read from the database; "
                "one of each partner."
            ),
        ),
    ] = 4
    max_export_spool_bytes: Annotated[
        int,
        Meta(
            ge=1_048_576,
            description=(
                "Maximum size of the part of an export that its client has not read yet; it is in "
                "a temporary file."
            ),
        ),
    ] = 268_435_456
    export_timeout_seconds: Annotated[
        float,
        Meta(
            ge=0.001,
            le=THREE_WEEKS,
            description="Timeout of an export, including the time in which the client reads it.",
        ),
    ] = 3600.0
