"""The limits of one worker, for its connections and for load shedding."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of one worker; times in seconds. `lrs.settings` describes them.

    `credential_share` and `partner_share` are parts of `max_requests`, `max_connections`,
    `max_body_bytes` and `max_response_bytes`. A share of bytes has room for at least one body of
    `max_request_bytes`. A client must transfer 4 KiB per second on average over `stall_timeout`.
    """

    max_requests: int = 2000
    max_body_bytes: int = 67_108_864
    max_response_bytes: int = 134_217_728
    max_anonymous_bytes: int = 8_388_608
    max_request_bytes: int = 16_777_216
    max_connections: int = 5000
    max_connections_per_address: int = 1000
    header_timeout: float = 10.0
    request_timeout: float = 60.0
    stall_timeout: float = 20.0
    credential_share: float = 0.25
    partner_share: float = 0.5
