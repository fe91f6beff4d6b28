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


def listen(host: str, port: int, workers: int) -> socket.socket:
    """A socket that listens before there is a worker: clients wait for the first one.

    All workers inherit it: a connection of it is accepted while one worker runs.
    """
    listener = bind(host, port, workers)
    listener.listen()
    return listener


def bind(host: str, port: int, workers: int) -> socket.socket:
    """A bound socket to be inherited by all workers. Raises OSError."""
    bound = _open_socket(host)
    if _is_balanced(workers):
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind((host, port))
    return bound


def further_sockets(first: socket.socket, workers: int) -> list[socket.socket]:
    """The other sockets at the address of `first`, to be inherited by all workers."""
    count = _SOCKETS_PER_PROCESS - 1
    if _is_balanced(workers):
        return [_bind_reuseport(*first.getsockname()[:2]) for _ in range(count)]
    return [first.dup() for _ in range(count)]


def _is_balanced(workers: int) -> bool:
    return workers > 1 and _BALANCED_REUSEPORT


class _ReuseportSocket(socket.socket):
    """A socket that each worker binds again when multiprocessing unpickles it in that worker.

    The kernel then balances connections between the workers (SO_REUSEPORT). On sockets that workers
    share, the worker that wakes up first accepts all waiting connections: of 64 connections opened
    at once, two workers got 64 and 0 in four of six runs, and 25 to 39 each with SO_REUSEPORT. In
    the first process, these sockets must not listen: nothing accepts the kernel's share of them.
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
