"""Load shedding and timeouts of one worker."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from lrs.settings.fields import THREE_WEEKS, subject


@subject
class WorkerLimitSettings:
    """Load shedding and timeouts of one worker."""

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
            le=THREE_WEEKS,
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
            le=THREE_WEEKS,
            description="Timeout for receiving the header fields of a request (408).",
        ),
    ] = 10.0
    request_timeout_seconds: Annotated[
        float,
        Meta(
            ge=0.001,
            le=THREE_WEEKS,
            description="Timeout for receiving a request with its body (408).",
        ),
    ] = 60.0
    stall_timeout_seconds: Annotated[
        float,
        Meta(
            ge=0.001,
            le=THREE_WEEKS,
            description=(
                "Timeout for a client that sends less than 4 KiB of a body per second (408), or "
                "does not read its response."
            ),
        ),
    ] = 20.0
