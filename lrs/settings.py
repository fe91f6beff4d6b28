"""Configuration: one flat record of all settings.

`environment.py` reads it. `docs/configuration.md` lists them all, and a test holds it and this file
together.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from lrs.errors import OperatorError

PREFIX = "LRS_"

# Seconds that timers and PostgreSQL can count, some three weeks; and those of a hundred years, for
# what is only compared with the clock.
_LONG = 2_000_000
_LONGEST = 3_000_000_000


class SettingsError(OperatorError):
    """A setting that cannot be used; the message names it and says what was expected."""


def _expected(words: str) -> dict[str, Any]:
    """What a pattern asks for, to be read after "expected"."""
    return {"x-expected": words}


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every setting; the description of each is its line in the documentation."""

    host: Annotated[str, Meta(description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="Port to listen on.")] = 8080
    workers: Annotated[int, Meta(ge=1, le=256, description="Worker processes.")] = 1
    data_directory: Annotated[
        str,
        Meta(description="Where the embedded database and the generated secret key are kept."),
    ] = ".lrs"
    database_url: Annotated[
        str,
        Meta(
            description="A PostgreSQL 15-18 to use, as `postgresql://…`. Empty: the embedded one."
        ),
    ] = ""
    reports_address: Annotated[
        str,
        Meta(
            pattern=r"^(([0-9A-Za-z.-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5})?$",
            extra_json_schema=_expected("a host and a port such as 127.0.0.1:5433"),
            description=(
                "Where the embedded PostgreSQL takes the roles that read reports, such as "
                "`127.0.0.1:5433`. Empty: only at its socket."
            ),
        ),
    ] = ""
    public_url: Annotated[
        str,
        Meta(
            pattern="^(https?://[^/?#]+(/[^?#]*[^/?#])?)?$",
            extra_json_schema=_expected(
                "a URL such as https://lrs.example.com, without a slash at the end"
            ),
            description=(
                "The URL that the world knows this server by, without a slash at the end; "
                "it is the issuer of access tokens. Empty: `http://` host `:` port."
            ),
        ),
    ] = ""
    forwarded_allow_ips: Annotated[
        str,
        Meta(description="Proxies whose X-Forwarded headers are believed, separated by commas."),
    ] = "127.0.0.1"
    secret_key: Annotated[
        str,
        Meta(
            description=(
                "Encrypts the signing keys and the tools' secrets in the database, and signs "
                "callback URLs; at least 32 characters, the same for all servers of one database. "
                "Empty: made once and kept in the data directory."
            )
        ),
    ] = ""
    demo: Annotated[
        bool,
        Meta(description="On an empty embedded database, create the partner `demo`."),
    ] = True
    log_level: Annotated[
        str,
        Meta(
            pattern="^(debug|info|warning|error)$",
            extra_json_schema=_expected("debug, info, warning or error"),
            description=(
                "How much is logged: `debug`, `info` (every request), `warning` or `error`."
            ),
        ),
    ] = "info"
    server_timing: Annotated[
        bool,
        Meta(description="Say in `Server-Timing` of each answer where its time went."),
    ] = False
    access_token_seconds: Annotated[
        int, Meta(ge=1, le=_LONGEST, description="How long an access token is good.")
    ] = 3600
    credential_cache_seconds: Annotated[
        float,
        Meta(
            ge=0,
            description=(
                "How long a credential is used without looking it up again: a revocation takes "
                "effect within this time on every server."
            ),
        ),
    ] = 1.0
    cors_origins: Annotated[
        str,
        Meta(
            pattern=r"^( *(\*|null|[a-z][a-z0-9+.-]*://[^/?#, ]+) *(,(?!$)|$))*$",
            extra_json_schema=_expected(
                "origins such as https://courses.example.com, separated by commas, "
                "without a slash at the end"
            ),
            description=(
                "Origins whose pages may call this server, separated by commas; `*` is every one. "
                "Empty: none."
            ),
        ),
    ] = "*"
    oauth_issuer: Annotated[
        str, Meta(description="An outside issuer whose access tokens are accepted too.")
    ] = ""
    oauth_jwks: Annotated[
        str,
        Meta(
            description=(
                "The outside issuer's keys: the URL or the file of a JWK Set, read again after "
                "five minutes."
            )
        ),
    ] = ""
    oauth_audience: Annotated[
        str,
        Meta(description="The audience that an outside token must name. Empty: the public URL."),
    ] = ""
    rate_limit: Annotated[
        str,
        Meta(
            description=(
                "Requests that one credential may make of one worker, such as `100/second` or "
                "`5000/minute`. Empty: no limit."
            )
        ),
    ] = ""
    statement_bytes: Annotated[
        int,
        Meta(ge=1024, description="Largest statement or track event on the partner interface."),
    ] = 16_384
    xapi_statement_bytes: Annotated[
        int, Meta(ge=1024, description="Largest statement on the xAPI interface.")
    ] = 1_048_576
    body_bytes: Annotated[int, Meta(ge=1024, description="Largest request body.")] = 16_777_216
    batch_length: Annotated[int, Meta(ge=1, description="Most items in one request.")] = 1000
    page_size: Annotated[
        int,
        Meta(
            ge=1,
            le=10_000,
            description="Most statements in one page; it has fewer if they come to 8 MiB before.",
        ),
    ] = 500
    requests_at_once: Annotated[
        int,
        Meta(
            ge=1,
            description=(
                "Most requests that one worker has at hand; beyond it, requests are answered 503 "
                "in about a tenth of a second."
            ),
        ),
    ] = 2000
    bodies_bytes: Annotated[
        int,
        Meta(
            ge=1024,
            description=(
                "Most bytes of request bodies that one worker has at hand; beyond it, requests are "
                "answered 503 in about a tenth of a second."
            ),
        ),
    ] = 33_554_432
    request_seconds: Annotated[
        float,
        Meta(
            ge=0.001,
            le=_LONG,
            description=(
                "How long a client may take to send a request (408), or not read its answer."
            ),
        ),
    ] = 60.0
    connections: Annotated[
        int,
        Meta(
            ge=1,
            description=(
                "Most connections of clients to one worker; one more is answered 503 and closed."
            ),
        ),
    ] = 5000
    queue_statements: Annotated[
        int,
        Meta(
            ge=1,
            description=(
                "Most statements that one worker holds while they wait for a transaction; beyond "
                "it, requests are answered 503."
            ),
        ),
    ] = 10_000
    database_writers: Annotated[
        int, Meta(ge=1, le=1000, description="Connections that one worker writes with, at most.")
    ] = 4
    database_readers: Annotated[
        int, Meta(ge=1, le=1000, description="Connections that one worker reads with, at most.")
    ] = 8
    database_timeout_seconds: Annotated[
        float,
        Meta(
            ge=0.001,
            le=_LONG,
            description="How long a database statement may take, and the wait for a connection.",
        ),
    ] = 30.0
    database_exports: Annotated[
        int, Meta(ge=1, le=1000, description="Exports that one worker sends at a time, at most.")
    ] = 2
    export_seconds: Annotated[
        float,
        Meta(ge=0.001, le=_LONG, description="How long an export may take, its reader included."),
    ] = 3600.0
    shutdown_seconds: Annotated[
        int, Meta(ge=0, description="How long requests in flight may take after a stop signal.")
    ] = 30
    page_views: Annotated[
        bool,
        Meta(
            description=(
                "Whether tools' callbacks leave page views, for partners that do not say it "
                "themselves."
            )
        ),
    ] = True
    page_view_seconds: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description=(
                "Longest time that one page view shows; the time spent in the course counts in "
                "full."
            ),
        ),
    ] = 300
    callback_seconds: Annotated[
        int,
        Meta(ge=0, le=_LONGEST, description="How long a tool's callback URL is good. 0: for ever."),
    ] = 0
    callback_body_hash: Annotated[
        bool,
        Meta(
            description=(
                "Refuse callbacks whose signature does not cover the body (`oauth_body_hash`)."
            )
        ),
    ] = False
    projection: Annotated[
        bool,
        Meta(description="Keep learner records and reports up to date while the server runs."),
    ] = True
    vocabulary: Annotated[
        str,
        Meta(
            description=(
                "A file that says what more verbs, activity types and extensions mean to reports. "
                "Empty: only those that the server knows."
            )
        ),
    ] = ""

    @property
    def base_url(self) -> str:
        """The public URL, or the one that this server listens on."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        host = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)  # noqa: S104
        return self.public_url or f"http://{host}:{self.port}"

    @property
    def base_path(self) -> str:
        """The path of the public URL, which the world sees before every other; mostly empty."""
        return urlsplit(self.public_url).path


@cache
def documented() -> dict[str, dict[str, Any]]:
    """Each setting's JSON Schema, by name: type, description, default."""
    properties: dict[str, dict[str, Any]] = msgspec.json.schema(Settings)["$defs"]["Settings"][
        "properties"
    ]
    return properties
