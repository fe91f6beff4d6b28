"""Limits after which a connection with a lost peer ends, on either side.

A server that vanishes in the middle of a transaction leaves its locks, and an open write
transaction that holds back the watermark of all servers. TCP alone notices after two hours.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import asyncpg

IDLE_TRANSACTION_SECONDS = 60.0
"""For connections that do not write statements: some compute between two queries."""
WRITER_IDLE_TRANSACTION_SECONDS = 10.0

# A peer that acknowledges nothing is lost after 5 + 3 * 3 seconds.
_IDLE_SECONDS = 5
_PROBE_SECONDS = 3
_PROBES = 3
_USER_TIMEOUT_SECONDS = 15

_SOCKET_OPTIONS = {
    "TCP_KEEPIDLE": _IDLE_SECONDS,
    "TCP_KEEPINTVL": _PROBE_SECONDS,
    "TCP_KEEPCNT": _PROBES,
    "TCP_USER_TIMEOUT": _USER_TIMEOUT_SECONDS * 1000,
}
"""Names in the module socket, which has those that the platform supports."""


def session_settings(
    application_name: str, idle_transaction_seconds: float = IDLE_TRANSACTION_SECONDS
) -> dict[str, str]:
    """Settings of a session: PostgreSQL ends it when its client is lost or leaves a transaction.

    PostgreSQL ignores the settings of TCP on a Unix socket.
    """
    return {
        "application_name": application_name,
        "idle_in_transaction_session_timeout": str(round(idle_transaction_seconds * 1000)),
        "tcp_keepalives_idle": str(_IDLE_SECONDS),
        "tcp_keepalives_interval": str(_PROBE_SECONDS),
        "tcp_keepalives_count": str(_PROBES),
        "tcp_user_timeout": str(_USER_TIMEOUT_SECONDS * 1000),
    }


class KeepaliveConnection(asyncpg.Connection):
    """Ends when the host of the database is lost, also while it waits for a long query."""

    def __init__(
        self, protocol: Any, transport: asyncio.Transport, *arguments: Any, **options: Any
    ) -> None:
        super().__init__(protocol, transport, *arguments, **options)
        _keep_alive(transport.get_extra_info("socket"))


def _keep_alive(connection: socket.socket | None) -> None:
    if connection is None or connection.family not in (socket.AF_INET, socket.AF_INET6):
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _SOCKET_OPTIONS.items():
        if (option := getattr(socket, name, None)) is not None:
            connection.setsockopt(socket.IPPROTO_TCP, option, value)
