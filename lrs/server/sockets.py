"""The listening sockets of the server."""

from __future__ import annotations

import socket
import sys
from typing import Any

# The event loop accepts one connection from each listening socket per iteration: with a single
# socket, new clients of a busy server would wait for seconds.
_SOCKETS_PER_PROCESS = 16

# Elsewhere SO_REUSEPORT may give all connections to one process.
_BALANCED_REUSEPORT = sys.platform == "linux"


def find_port(host: str, port: int) -> int:
    """The port, or a free one for port 0. Raises OSError if the address is in use."""
    with _open_socket(host) as probe:
        probe.bind((host, port))
        return int(probe.getsockname()[1])


def bind_sockets(
    host: str, port: int, workers: int, count: int = _SOCKETS_PER_PROCESS
) -> list[socket.socket]:
    """Bound sockets, `count` per process, to be inherited by all workers."""
    if workers > 1 and _BALANCED_REUSEPORT:
        return [_bind_reuseport(host, port) for _ in range(count)]
    shared = _open_socket(host)
    shared.bind((host, port))
    return [shared, *(shared.dup() for _ in range(1, count))]


class _ReuseportSocket(socket.socket):
    """A socket that each worker binds again when multiprocessing unpickles it in that worker.

    The kernel then balances connections between the workers (SO_REUSEPORT). On sockets that workers
    share, the worker that wakes up first accepts all waiting connections: of 64 connections opened
    at once, two workers got 64 and 0 in four of six runs, and 25 to 39 each with SO_REUSEPORT. In
    the first process, these sockets only hold the port.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return _bind_reuseport, self.getsockname()[:2]


def _bind_reuseport(host: str, port: int) -> socket.socket:
    reuseport = _open_socket(host, _ReuseportSocket)
    reuseport.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    reuseport.bind((host, port))
    return reuseport


def _open_socket(host: str, kind: type[socket.socket] = socket.socket) -> socket.socket:
    opened = kind(socket.AF_INET6 if ":" in host else socket.AF_INET)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return opened
