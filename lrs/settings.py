"""The settings: one flat record.

`environment.py` reads them from environment variables. `docs/configuration.md` lists them; a test
compares both.
"""

from __future__ import annotations

from functools import cache
from ipaddress import ip_address
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from lrs.errors import OperatorError

PREFIX = "LRS_"

RATE_PATTERN = (
    "((?P<quota>[1-9][0-9]{0,8})(/| per )((?P<count>[1-9][0-9]{0,2}) )?"
    "(?P<unit>second|minute|hour|day)s?)?"
)
"""A rate such as 100/second or 500/10 seconds, or an empty text: no limit."""

# Seconds: the longest timeout that timers and PostgreSQL accept, and the longest lifetime.
_THREE_WEEKS = 2_000_000
_HUNDRED_YEARS = 3_000_000_000

_ADDRESS = r"^(([0-9A-Za-z.-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5})?$"
_MAX_BIGINT = 2**63 - 1


class SettingsError(OperatorError):
    """Invalid setting; the message names the setting and the expected value."""


def _expected(words: str) -> dict[str, Any]:
    """The meaning of a pattern, as an error message says it after "expected"."""
    return {"x-expected": words}


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings; `docs/configuration.md` repeats each description."""

    host: Annotated[str, Meta(description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="Port to listen on.")] = 8080
    workers: Annotated[int, Meta(ge=1, le=256, description="Number of worker processes.")] = 1
    public_url: Annotated[
        str,
        Meta(
            pattern="^(https?://[^/?#]+(/[^?#]*[^/?#])?)?$",
            extra_json_schema=_expected(
                "a URL such as https://lrs.example.com, without a trailing slash"
            ),
            description=(
                "URL that clients use, without a trailing slash; also the issuer of access tokens. "
                "Empty: `http://` host `:` port."
            ),
        ),
    ] = ""
    trusted_proxies: Annotated[
        str,
        Meta(
            description=(
                "IP addresses or networks of proxies whose `X-Forwarded-*` headers are trusted, "
                "comma-separated."
            )
        ),
    ] = "127.0.0.1,::1"
    cors_origins: Annotated[
        str,
        Meta(
            pattern=r"^( *(\*|null|[a-z][a-z0-9+.-]*://[^/?#, ]+) *(,(?!$)|$))*$",
            extra_json_schema=_expected(
                "origins such as https://courses.example.com, separated by commas, "
                "without a trailing slash"
            ),
            description=(
                "Origins that may send cross-origin requests, comma-separated; `*` for all. "
                "Empty: none."
            ),
        ),
    ] = "*"
    shutdown_timeout_seconds: Annotated[
        int,
        Meta(
            ge=0,
            description=(
                "Time in which the server ends after a stop signal; requests in progress have all "
                "of it but the last five seconds."
            ),
        ),
    ] = 30
    log_level: Annotated[
        str,
        Meta(
            pattern="^(debug|info|warning|error)$",
            extra_json_schema=_expected("debug, info, warning or error"),
            description=(
                "Lowest level that is logged: `debug`, `info` (includes every request), `warning` "
                "or `error`."
            ),
        ),
    ] = "info"
    server_timing: Annotated[
        bool,
        Meta(description="Add a `Server-Timing` header to each response."),
    ] = False
    metrics_token: Annotated[
        str,
        Meta(
            description=(
                "Bearer token that `/metrics` requires, at least 16 characters. Empty: only direct "
                "clients on the same host read metrics."
            )
        ),
    ] = ""
    metrics_address: Annotated[
        str,
        Meta(
            pattern=_ADDRESS,
            extra_json_schema=_expected("a host and a port such as 127.0.0.1:9100"),
            description=(
                "Host and port of a listener for `/metrics` alone, such as `127.0.0.1:9100`. "
                "Empty: on the port of the server."
            ),
        ),
    ] = ""

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
    reports_address: Annotated[
        str,
        Meta(
            pattern=_ADDRESS,
            extra_json_schema=_expected("a host and a port such as 127.0.0.1:5433"),
            description=(
                "Host and port where the embedded PostgreSQL admits reporting roles, such as "
                "`127.0.0.1:5433`. Empty: its Unix socket only."
            ),
        ),
    ] = ""
    wal_archive_directory: Annotated[
        str,
        Meta(
            description=(
                "Directory for the write-ahead log and base backups of the embedded PostgreSQL, "
                "for point-in-time restore. Empty: the log is not archived."
            )
        ),
    ] = ""
    secret_key: Annotated[
        str,
        Meta(
            description=(
                "Key that encrypts signing keys and tool secrets in the database and signs "
                "callback URLs; at least 32 characters, the same on all servers of one database. "
                "Empty: generated and kept in the data directory."
            )
        ),
    ] = ""
    accepted_secret_key: Annotated[
        str,
        Meta(
            description=(
                "Second secret key, with which the database and callback URLs are read too, while "
                "the secret key is replaced. Empty: none."
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
            le=_THREE_WEEKS,
            description=(
                "Timeout of a database query, of the wait for a connection, and of all such waits "
                "of a request together."
            ),
        ),
    ] = 30.0

    access_token_ttl_seconds: Annotated[
        int, Meta(ge=1, le=_HUNDRED_YEARS, description="Lifetime of an access token.")
    ] = 3600
    credential_cache_ttl_seconds: Annotated[
        float,
        Meta(
            ge=0,
            description=(
                "Lifetime of a cached credential; a revocation takes effect on every server within "
                "this time."
            ),
        ),
    ] = 1.0
    oauth_issuer: Annotated[
        str, Meta(description="Issuer of external access tokens that are accepted as well.")
    ] = ""
    oauth_jwks: Annotated[
        str,
        Meta(
            description=(
                "JWK Set of the external issuer, as a URL or a file path; cached for five minutes."
            )
        ),
    ] = ""
    oauth_audience: Annotated[
        str,
        Meta(description="Required audience of external access tokens. Empty: the public URL."),
    ] = ""
    oauth_client_claim: Annotated[
        str,
        Meta(
            description=(
                "Claim of external access tokens that holds the key of a credential. Empty: "
                "`client_id`, else `azp`, else `sub`."
            )
        ),
    ] = ""

    oidc_issuer: Annotated[
        str,
        Meta(
            pattern="^(https?://.+)?$",
            extra_json_schema=_expected("a URL such as https://login.example.com"),
            description=(
                "Issuer of the OpenID provider at which operators log in. Empty: passwords only."
            ),
        ),
    ] = ""
    oidc_client_id: Annotated[str, Meta(description="Client id at the OpenID provider.")] = ""
    oidc_client_secret: Annotated[
        str, Meta(description="Client secret at the OpenID provider.")
    ] = ""
    oidc_roles_claim: Annotated[
        str,
        Meta(
            description=(
                "Claim with the groups or roles of an operator; a dot leads into an object, as in "
                "`realm_access.roles`."
            )
        ),
    ] = "roles"
    oidc_roles: Annotated[
        str,
        Meta(
            description=(
                "Roles by value of the claim, comma-separated: `lrs-admins=owner`, or for one "
                "partner `acme-support=viewer:acme`."
            )
        ),
    ] = ""

    rate_limit: Annotated[
        str,
        Meta(
            pattern=f"^{RATE_PATTERN}$",
            extra_json_schema=_expected("a rate such as 100/second or 500/10 seconds"),
            description=(
                "Rate limit of one credential or tool on all servers, such as `100/second` or "
                "`500/10 seconds`. Empty: no limit."
            ),
        ),
    ] = ""
    partner_rate_limit: Annotated[
        str,
        Meta(
            pattern=f"^{RATE_PATTERN}$",
            extra_json_schema=_expected("a rate such as 100/second or 500/10 seconds"),
            description=(
                "Rate limit of one partner, all its credentials and tools together, on all "
                "servers. Empty: no limit."
            ),
        ),
    ] = ""
    max_statements_per_day: Annotated[
        int,
        Meta(
            ge=0,
            le=_MAX_BIGINT,
            description=(
                "Maximum number of statements that one partner stores in a UTC day. 0: unlimited."
            ),
        ),
    ] = 0
    max_stored_bytes: Annotated[
        int,
        Meta(
            ge=0,
            le=_MAX_BIGINT,
            description=(
                "Maximum size of the statements, documents and attachments of one partner. 0: "
                "unlimited."
            ),
        ),
    ] = 0
    max_concurrent_requests_per_partner: Annotated[
        int,
        Meta(
            ge=0,
            le=1_000_000,
            description=(
                "Maximum number of authenticated requests of one partner that one worker processes "
                "at a time; others are rejected with 429. 0: unlimited."
            ),
        ),
    ] = 256
    max_authentication_failures: Annotated[
        int,
        Meta(
            ge=0,
            le=1_000_000,
            description=(
                "Maximum number of failed authentications per minute of one client address, and of "
                "one key, on one worker; others are rejected with 429. 0: unlimited."
            ),
        ),
    ] = 20
    max_statement_bytes: Annotated[
        int,
        Meta(
            ge=1024,
            description="Maximum size of a statement or track event on the partner interface.",
        ),
    ] = 16_384
    max_xapi_statement_bytes: Annotated[
        int,
        Meta(
            ge=1024,
            description=(
                "Maximum size of a statement on the xAPI interface, and of the body of a callback "
                "or a request about tools."
            ),
        ),
    ] = 1_048_576
    max_body_bytes: Annotated[
        int,
        Meta(
            ge=1024,
            description="Maximum size of a request body, also of a compressed one as decompressed.",
        ),
    ] = 16_777_216
    max_document_bytes: Annotated[
        int,
        Meta(
            ge=1024,
            description=(
                "Maximum size of a state or profile document, as sent and after a merge; at most "
                "`LRS_MAX_BODY_BYTES` as sent."
            ),
        ),
    ] = 1_048_576
    max_batch_items: Annotated[
        int, Meta(ge=1, description="Maximum number of items in one request.")
    ] = 1000
    max_refusals_per_partner: Annotated[
        int,
        Meta(
            ge=0,
            le=1_000_000,
            description="Maximum number of refused items that are kept of one partner. 0: none.",
        ),
    ] = 10_000
    max_refusal_item_bytes: Annotated[
        int,
        Meta(
            ge=0,
            le=1_048_576,
            description=(
                "Maximum size of the text that is kept of a refused item; of a larger one, the "
                "beginning. 0: the text is not kept, only its errors."
            ),
        ),
    ] = 16_384
    alarm_webhook_url: Annotated[
        str,
        Meta(
            pattern=r"^(https?://[^/?#\s]+[^\s]*)?$",
            extra_json_schema=_expected("a URL such as https://hooks.example.com/lrs"),
            description=(
                "URL to which alarms of partners (silence, refusals, pipes) are sent as JSON. "
                "Empty: they are not sent."
            ),
        ),
    ] = ""
    refusal_ttl_seconds: Annotated[
        int,
        Meta(ge=60, le=_HUNDRED_YEARS, description="Time for which refused items are kept."),
    ] = 604_800
    max_page_size: Annotated[
        int,
        Meta(
            ge=1,
            le=10_000,
            description=(
                "Maximum number of statements, learner records or content items in one page. A "
                "page of statements also ends at 8 MiB."
            ),
        ),
    ] = 500
    max_concurrent_requests: Annotated[
        int,
        Meta(
            ge=1,
            description=(
                "Maximum number of requests that one worker processes at a time; others are "
                "rejected with 503. One partner may have half of them, one credential a quarter, "
                "and requests that are not authenticated a quarter."
            ),
        ),
    ] = 2000
    max_inflight_body_bytes: Annotated[
        int,
        Meta(
            ge=1024,
            description=(
                "Maximum size of all request bodies that one worker holds, without the first "
                "64 KiB of each; others are rejected with 503. One partner may hold half, one "
                "credential a quarter, or `LRS_MAX_BODY_BYTES` if that is larger."
            ),
        ),
    ] = 67_108_864
    max_inflight_response_bytes: Annotated[
        int,
        Meta(
            ge=1024,
            description=(
                "Maximum size of all responses of more than 128 KiB that clients of one worker "
                "have not read; others are rejected with 503. One partner may hold half, one "
                "credential a quarter, or `LRS_MAX_BODY_BYTES` if that is larger."
            ),
        ),
    ] = 134_217_728
    max_queued_statements: Annotated[
        int,
        Meta(
            ge=1,
            description=(
                "Maximum number of statements that wait for a transaction in one worker; requests "
                "with more are rejected with 503."
            ),
        ),
    ] = 10_000
    max_connections: Annotated[
        int,
        Meta(
            ge=1,
            description=(
                "Maximum number of client connections to one worker. Beyond it, the oldest "
                "connection without an authenticated request is closed, or the new one is rejected "
                "with 503."
            ),
        ),
    ] = 5000
    max_connections_per_address: Annotated[
        int,
        Meta(
            ge=0,
            description=(
                "Maximum number of client connections from one IPv4 address or IPv6 /64 network to "
                "one worker. 0: no limit, for a server behind a proxy."
            ),
        ),
    ] = 1000
    keep_alive_timeout_seconds: Annotated[
        int,
        Meta(
            ge=1,
            le=_THREE_WEEKS,
            description=(
                "Timeout of an idle connection; longer than that of a proxy or load balancer in "
                "front of the server."
            ),
        ),
    ] = 75
    header_timeout_seconds: Annotated[
        float,
        Meta(
            ge=0.001,
            le=_THREE_WEEKS,
            description="Timeout for receiving the header fields of a request (408).",
        ),
    ] = 10.0
    request_timeout_seconds: Annotated[
        float,
        Meta(
            ge=0.001,
            le=_THREE_WEEKS,
            description="Timeout for receiving a request with its body (408).",
        ),
    ] = 60.0
    stall_timeout_seconds: Annotated[
        float,
        Meta(
            ge=0.001,
            le=_THREE_WEEKS,
            description=(
                "Timeout for a client that sends less than 4 KiB of a body per second (408), or "
                "does not read its response."
            ),
        ),
    ] = 20.0

    projection_enabled: Annotated[
        bool,
        Meta(description="Run the projector, which keeps learner records and reports up to date."),
    ] = True
    pipes_enabled: Annotated[
        bool,
        Meta(description="Run the pipes that pull statements from other LRSs and forward them."),
    ] = True
    pipe_networks: Annotated[
        str,
        Meta(
            description=(
                "Addresses and networks to which pipes may connect, comma-separated. Empty: all "
                "but link-local ones, which are always refused."
            ),
        ),
    ] = ""
    vocabulary_path: Annotated[
        str,
        Meta(
            description=(
                "File that maps further verbs, activity types and extensions to their meaning in "
                "reports. Empty: the built-in vocabulary only."
            )
        ),
    ] = ""
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
            le=_THREE_WEEKS,
            description="Timeout of an export, including the time in which the client reads it.",
        ),
    ] = 3600.0
    report_transaction_timeout_seconds: Annotated[
        float,
        Meta(
            ge=1,
            le=_THREE_WEEKS,
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
    ] = 4_294_967_296

    page_views_enabled: Annotated[
        bool,
        Meta(
            description=(
                "Record page views from tool callbacks, for partners without their own setting."
            )
        ),
    ] = True
    max_page_view_seconds: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description=(
                "Maximum duration of one page view; the total time in the course has no maximum."
            ),
        ),
    ] = 300
    callback_url_ttl_seconds: Annotated[
        int,
        Meta(
            ge=0,
            le=_HUNDRED_YEARS,
            description="Lifetime of a tool's callback URL. 0: unlimited.",
        ),
    ] = 0
    require_callback_body_hash: Annotated[
        bool,
        Meta(
            description=(
                "Reject callbacks whose signature does not cover the body (`oauth_body_hash`)."
            )
        ),
    ] = False

    @property
    def metrics_listener(self) -> tuple[str, int] | None:
        """Host and port of the listener for metrics; None without one."""
        if not self.metrics_address:
            return None
        host, _, port = self.metrics_address.rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def base_url(self) -> str:
        """The public URL, or the one that this server listens on."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        host = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)  # noqa: S104
        return self.public_url or f"http://{host}:{self.port}"

    @property
    def is_public(self) -> bool:
        """Whether other machines may reach the server, by its address or its public URL."""
        public_host = urlsplit(self.public_url).hostname
        return not (is_loopback(self.host) and is_loopback(public_host or self.host))

    @property
    def base_path(self) -> str:
        """The path of the public URL, the prefix of all paths that clients see; often empty."""
        return urlsplit(self.public_url).path


def is_loopback(host: str) -> bool:
    """Whether the text is `localhost` or a loopback address, also one of IPv4 as IPv6 writes it."""
    try:
        address = ip_address(host)
    except ValueError:
        return host == "localhost"
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


@cache
def settings_schema() -> dict[str, dict[str, Any]]:
    """The JSON Schema of each setting by name: type, description, default."""
    properties: dict[str, dict[str, Any]] = msgspec.json.schema(Settings)["$defs"]["Settings"][
        "properties"
    ]
    return properties
