"""Rate limits, quotas and concurrency limits of partners and clients."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from lrs.settings.fields import MAX_BIGINT, expected, subject

RATE_PATTERN = (
    "((?P<quota>[1-9][0-9]{0,8})(/| per )((?P<count>[1-9][0-9]{0,2}) )?"
    "(?P<unit>second|minute|hour|day)s?)?"
)
"""A rate such as 100/second or 500/10 seconds, or an empty text: no limit."""


@subject
class PartnerLimitSettings:
    """Rate limits, quotas and concurrency limits of partners and clients."""

    rate_limit: Annotated[
        str,
        Meta(
            pattern=f"^{RATE_PATTERN}$",
            extra_json_schema=expected("a rate such as 100/second or 500/10 seconds"),
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
            extra_json_schema=expected("a rate such as 100/second or 500/10 seconds"),
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
            le=MAX_BIGINT,
            description=(
                "Maximum number of statements that one partner stores in a UTC day. 0: unlimited."
            ),
        ),
    ] = 0
    max_stored_bytes: Annotated[
        int,
        Meta(
            ge=0,
            le=MAX_BIGINT,
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
