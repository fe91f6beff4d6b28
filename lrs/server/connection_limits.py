"""Limits of the connections of one worker: their number, in all and per address, and timeouts.

A connection without an authenticated request is evictable while it waits for its client. At a
limit, the oldest evictable connection makes room: half-open connections cannot lock out others.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from typing import Protocol

from lrs.server.worker_limits import Limits


class ClientConnection(Protocol):
    """A client connection, as its limits see it."""

    client: tuple[str, int] | None

    def evict(self) -> None:
        """Close the connection with 503."""

    def check_timeouts(self, now: float) -> None:
        """Close the connection if it exceeds a timeout; `now` is the time of the event loop."""


@dataclass(slots=True)
class _Address:
    """The number of connections of one address, and the evictable ones, oldest first."""

    count: int = 0
    evictable: dict[ClientConnection, None] = field(default_factory=dict)


class ConnectionLimits:
    """The connections of one worker. One timer checks the timeouts of all of them."""

    def __init__(self, limits: Limits) -> None:
        self._max_connections = limits.max_connections
        self._max_per_address = limits.max_connections_per_address or limits.max_connections
        self._check_interval = min(1.0, min(limits.header_timeout, limits.stall_timeout) / 4)
        self._connections: dict[ClientConnection, _Address] = {}
        self._addresses: dict[str, _Address] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, connection: ClientConnection) -> bool:
        """Count a new connection, which is evictable; False if there is no room for it."""
        name = address_of(connection)
        address = self._addresses.get(name, _Address())
        if address.count >= self._max_per_address and not self._evict_oldest(address):
            return False
        if len(self._connections) >= self._max_connections and not self._evict_largest():
            return False
        self._addresses[name] = self._connections[connection] = address
        address.count += 1
        address.evictable[connection] = None
        self._start_timer()
        return True

    def remove(self, connection: ClientConnection) -> None:
        """Count a connection no longer; it may have been evicted before."""
        address = self._connections.pop(connection, None)
        if address:
            address.evictable.pop(connection, None)
            address.count -= 1
            if not address.count:
                del self._addresses[address_of(connection)]

    def set_evictable(self, connection: ClientConnection, *, evictable: bool) -> None:
        """Whether a connection is evictable; it becomes the newest evictable one."""
        if address := self._connections.get(connection):
            address.evictable.pop(connection, None)
            if evictable:
                address.evictable[connection] = None

    def _evict_largest(self) -> bool:
        """Evict from the address with the most evictable connections; False if there are none."""
        return self._evict_oldest(
            max(self._addresses.values(), key=lambda address: len(address.evictable))
        )

    def _evict_oldest(self, address: _Address) -> bool:
        oldest = next(iter(address.evictable), None)
        if oldest is None:
            return False
        self.remove(oldest)
        oldest.evict()
        return True

    def _start_timer(self) -> None:
        if self._timer is None and self._connections:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._check_interval, self._check_timeouts)

    def _check_timeouts(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        for connection in list(self._connections):
            connection.check_timeouts(now)
        self._start_timer()


def address_of(connection: ClientConnection) -> str:
    """The IP address of a client; of IPv6, the /64 network, which one client may have alone."""
    host = connection.client[0] if connection.client else ""
    if ":" not in host:
        return host
    address = ip_address(host)
    assert isinstance(address, IPv6Address)  # noqa: S101 - it has a colon
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(IPv6Address(int(address) >> 64 << 64))
