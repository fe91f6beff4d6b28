"""The database, its connections and its backups."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from lrs.settings.fields import THREE_WEEKS, subject


@subject
class DatabaseSettings:
    """The database, its connections and its backups."""

    data_directory: Annotated[
        str,
        Meta(description="Directory of the embedded database and the generated secret key."),
    ] = ".lrs"
    database_url: Annotated[
        str,
        Meta(
            description=(
                "URL of a PostgreSQL 15 to 18 database, `postgresql://…`. "
                "Empty: the embedded database."
            )
        ),
    ] = ""
    max_database_write_connections: Annotated[
        int,
        Meta(
            ge=1,
            le=1000,
            description="Maximum number of database connections for writes in one worker.",
        ),
    ] = 4
    max_database_read_connections: Annotated[
        int,
        Meta(
            ge=1,
            le=1000,
            description=(
                "Maximum number of database connections for reads in one worker, half of them for "
                "lists; an odd number is rounded up. Exports have their own connections."
            ),
        ),
    ] = 8
    database_timeout_seconds: Annotated[
        float,
        Meta(
            ge=0.001,
            le=THREE_WEEKS,
            description=(
                "Timeout of a database query, of the wait for a connection, and of all such waits "
                "of a request together."
            ),
        ),
    ] = 30.0
    wal_archive_directory: Annotated[
        str,
        Meta(
            description=(
                "Directory for the write-ahead log and base backups of the embedded PostgreSQL, "
                "for point-in-time restore. Empty: the log is not archived."
            )
        ),
    ] = ""
    backup_before_migration: Annotated[
        bool,
        Meta(
            description=(
                "Back up the embedded database into `backups` in the data directory before its "
                "schema is migrated."
            )
        ),
    ] = True
    demo_partner: Annotated[
        bool,
        Meta(
            description=(
                "Create the partner `demo` in an empty embedded database, and print its secret. On "
                "an address or with a public URL that is not loopback, the default is `false`."
            )
        ),
    ] = True
