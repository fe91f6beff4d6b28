"""The sockets that the server listens on."""

from __future__ import annotations

import socket
import sys
from typing import Any

# The event loop accepts one connection from each socket each time round: with only one socket, new
# clients of a busy server would wait for seconds.
_ACCEPTED_AT_ONCE = 16

_SHARED_OUT = sys.platform == "linux"  # elsewhere SO_REUSEPORT may give one process all


def free_port(host: str, port: int) -> int:
    """This port, or any that is free in the place of 0. Raises OSError if it is taken."""
    with _socket(host) as probe:
        probe.bind((host, port))
        return int(probe.getsockname()[1])


def listening_sockets(host: str, port: int, workers: int) -> list[socket.socket]:
    """Bound to this port, for one process to listen on, or for each of several workers."""
    if workers > 1 and _SHARED_OUT:
        return [_own_socket(host, port) for _ in range(_ACCEPTED_AT_ONCE)]
    shared = _socket(host)
    shared.bind((host, port))
    return [shared, *(shared.dup() for _ in range(1, _ACCEPTED_AT_ONCE))]


class _OwnSocket(socket.socket):
    """One that each worker opens anew, so that the kernel shares out connections among them.

    From a socket that all have in common, whichever worker is awake first takes all that wait. That
    of the first process only holds the port.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return _own_socket, self.getsockname()[:2]


def _own_socket(host: str, port: int) -> socket.socket:
    own = _socket(host, _OwnSocket)
    own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    own.bind((host, port))
    return own


def _socket(host: str, kind: type[socket.socket] = socket.socket) -> socket.socket:
    opened = kind(socket.AF_INET6 if ":" in host else socket.AF_INET)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return opened
