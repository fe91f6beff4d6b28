"""Admission: what handlers report to load shedding, in `scope["admission"]`.

`lrs.server.load_shedding` implements it.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar, Protocol

from starlette.types import Scope, Send

from lrs.observability.resource_usage import ResourceUsage

MAX_UNSLICED_BYTES = 131_072
"""A larger response is counted, and sent in slices. An ordinary page of 100 statements is not."""

MAX_ANONYMOUS_BODY_BYTES = 65_536
"""Bytes of a body that may be read before the request is authenticated."""


class Admission(Protocol):
    """The admission of one request, which holds shares of the worker for its client."""

    def identify(self, key: str, partner: str) -> None:
        """Charge the request to its credential. Raises Overloaded beyond a share."""

    @property
    def is_worker_full(self) -> bool:
        """Whether the worker rejects the requests of all clients."""

    def hold_body(self, size: int) -> None:
        """Hold bytes of a body in addition to those received. Raises Overloaded."""

    def hold_response(self, size: int) -> None:
        """Hold the bytes of a response. Raises Overloaded, unless the request may have written."""

    def in_slices(self, send: Send) -> Send:
        """A function that sends large bodies in slices, as the client reads them."""

    @property
    def stopping(self) -> asyncio.Event:
        """Set when the worker stops: a stream of events ends then."""

    @property
    def usage(self) -> list[ResourceUsage]:
        """What all requests of the worker hold."""


class Unlimited:
    """The admission of an application that is not behind load shedding."""

    is_worker_full = False
    usage: ClassVar[list[ResourceUsage]] = []

    @property
    def stopping(self) -> asyncio.Event:
        """Never set."""
        return asyncio.Event()

    def identify(self, key: str, partner: str) -> None:
        """Nothing is charged."""

    def hold_body(self, size: int) -> None:
        """Nothing is held."""

    def hold_response(self, size: int) -> None:
        """Nothing is held."""

    def in_slices(self, send: Send) -> Send:
        return send


_UNLIMITED = Unlimited()


def admission(scope: Scope) -> Admission:
    value: Admission = scope.get("admission", _UNLIMITED)
    return value
