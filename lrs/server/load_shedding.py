"""Load shedding: bounds of the requests in one worker, and of the bytes that they hold.

    resource          what is counted
    working           requests, except while they wait for their client: for more of the body, or
                      until it reads the response
    requests          authenticated requests, until the client has read the response
    body bytes        of authenticated requests, as they arrive, after the first 64 KiB of each
    response bytes    of responses of more than 128 KiB, until the client has read them
    connections       with an authenticated request: they are never evicted
    anonymous bytes   header fields and bodies before authentication, 64 KiB of each body

A partner may hold half, a credential a quarter of the requests, connections and bytes.
Unauthenticated requests are at most a quarter of those that are working. Beyond the limit of
anonymous bytes the oldest incomplete request is evicted, instead of the newest rejected: clients
that never complete their requests lock nobody out.

The HTTP protocol calls `accept` after the header fields. Handlers reach the `AcceptedRequest` as
`scope["admission"]`: `identify` after authentication, `hold_response` before they respond.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any, Protocol, TypeVar

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lrs.api.admission import MAX_ANONYMOUS_BODY_BYTES, MAX_UNSLICED_BYTES
from lrs.errors import Overloaded, TooLarge
from lrs.observability import metrics
from lrs.observability.resource_usage import ResourceUsage
from lrs.server import cut_requests
from lrs.server.connection_limits import ConnectionLimits
from lrs.server.worker_limits import Limits

T = TypeVar("T")

FREE_BYTES = MAX_ANONYMOUS_BODY_BYTES
"""Bytes of a body that are not counted after authentication, and the size of a slice."""

AUTHORIZATION = "lrs.authorization"
"""The key in a scope of the Authorization header; empty for OAuth 1.0, which differs every time."""

# Health checks and metrics must work under load: they have an account of their own.
_PROBE_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})

_MAX_ACCOUNTS = 10_000
_CHUNK_BYTES = 524_288
_SAFE_METHODS = frozenset({"GET", "HEAD"})


# Resources: indexes of the amounts and limits of an account.
WORKING, REQUESTS, BODY_BYTES, RESPONSE_BYTES, CONNECTIONS = range(5)
_NAMES = (
    "concurrent requests",
    "concurrent requests",
    "bytes of request bodies",
    "bytes of responses that are not read",
    "connections",
)
_LABELS = ("requests", "requests", "body_bytes", "response_bytes", "connections")
_ANONYMOUS_BYTES = "anonymous_bytes"
_UNLIMITED = 1 << 62


class Account:
    """What a credential, a partner or the whole worker holds of each resource, and may hold.

    What an account holds, its parent holds too. `owner` is the key and the partner of a credential.
    """

    def __init__(
        self,
        name: str,
        limits: tuple[int, ...],
        parent: Account | None = None,
        owner: tuple[str, str] | None = None,
    ) -> None:
        self.owner = owner
        self._name = name
        self._limits = limits
        self._held = [0] * len(limits)
        self._chain: tuple[Account, ...] = (self, *(parent._chain if parent else ()))

    @property
    def is_idle(self) -> bool:
        return not any(self._held)

    def full(self, resource: int, amount: int = 1) -> str:
        """The name of the account in the chain that has no room; empty if all have."""
        for account in self._chain:
            if account._held[resource] + amount > account._limits[resource]:
                return account._name
        return ""

    def accepts(self, *, is_read: bool) -> bool:
        """Whether there is room for another request; for a read, also for its response."""
        for account in self._chain:
            held, limits = account._held, account._limits
            if held[WORKING] >= limits[WORKING] or held[REQUESTS] >= limits[REQUESTS]:
                return False
            if is_read and held[RESPONSE_BYTES] >= limits[RESPONSE_BYTES]:
                return False
        return True

    def usage(self, *resources: int) -> list[ResourceUsage]:
        """What the account holds of some resources."""
        return [
            ResourceUsage(_LABELS[resource], self._held[resource], self._limits[resource])
            for resource in resources
        ]

    def require_room(self, resource: int, amount: int) -> None:
        """Raises Overloaded if the account may not hold that much more."""
        if name := self.full(resource, amount):
            metrics.SHED_REQUESTS.labels(_LABELS[resource]).inc()
            raise overloaded(f"Too many {_NAMES[resource]} of {name}")

    def add(self, resource: int, amount: int) -> None:
        """Hold more of a resource, or less if `amount` is negative, without a check."""
        for account in self._chain:
            account._held[resource] += amount

    def add_requests(self, count: int) -> None:
        """Hold so many more requests that are being worked on."""
        for account in self._chain:
            held = account._held
            held[WORKING] += count
            held[REQUESTS] += count


def overloaded(reason: str = "Too many concurrent requests") -> Overloaded:
    return Overloaded(f"{reason}; nothing was stored.", headers={"Retry-After": "1"})


class Connection(Protocol):
    """A client connection, as load shedding sees it."""

    def identified(self, account: Account) -> None:
        """A request of the connection is authenticated."""

    def evict(self) -> None:
        """Reject the incomplete request of the connection with 503, and close it."""


class AnonymousBytes:
    """Bytes that connections hold for requests that are not authenticated."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held: dict[Connection, int] = {}
        self.total = 0

    def set(self, connection: Connection, amount: int) -> None:
        """Set what a connection holds; evict the oldest connections beyond the limit."""
        self.total += amount - self._held.get(connection, 0)
        self._held[connection] = amount
        while self.total > self._limit:
            oldest = next(iter(self._held))
            self.release(oldest)
            metrics.SHED_REQUESTS.labels(_ANONYMOUS_BYTES).inc()
            oldest.evict()

    def release(self, connection: Connection) -> None:
        self.total -= self._held.pop(connection, 0)


class LoadShedder:
    """ASGI middleware around all others; the state of load shedding in one worker."""

    def __init__(self, app: ASGIApp, limits: Limits | None = None) -> None:
        self.app = app
        self.limits = limits = limits or Limits()
        self.connections = ConnectionLimits(limits)
        self.anonymous_bytes = AnonymousBytes(limits.max_anonymous_bytes)
        self.stopping = asyncio.Event()
        share = limits.credential_share
        max_requests = limits.max_requests
        self._worker = Account("this server", self._limits_of(1.0, working=max_requests))
        self._anonymous = Account(
            "unauthenticated clients",
            self._limits_of(share, working=max(1, int(max_requests * share))),
            self._worker,
        )
        self._probes = Account("health checks", self._limits_of(share))
        self._partners: dict[str, Account] = {}
        self._credentials: dict[tuple[str, str], Account] = {}
        # Accounts by Authorization header: a request of a client that is over its share is
        # rejected before the application sees it, and anonymous clients cannot delay others.
        self._recognized: dict[bytes, Account] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lifespan events only; requests go to the application that `accept` returns."""
        await self.app(scope, receive, send)

    def accept(self, scope: Mapping[str, Any], connection: Connection) -> AcceptedRequest | None:
        """The application for a request; None if the request is to be rejected."""
        account = self._recognized.get(scope.get(AUTHORIZATION, b""), self._anonymous)
        if scope["path"] in _PROBE_PATHS:
            account = self._probes
        elif not account.accepts(is_read=scope["method"] in _SAFE_METHODS):
            lacks_requests = account.full(WORKING) or account.full(REQUESTS)
            lacking = REQUESTS if lacks_requests else RESPONSE_BYTES
            metrics.SHED_REQUESTS.labels(_LABELS[lacking]).inc()
            return None
        is_anonymous = account is self._anonymous or account is self._probes
        return AcceptedRequest(self, connection, account, is_anonymous=is_anonymous)

    def usage(self) -> list[ResourceUsage]:
        """What all requests of the worker hold."""
        return [
            *self._worker.usage(WORKING, BODY_BYTES, RESPONSE_BYTES, CONNECTIONS),
            ResourceUsage(
                _ANONYMOUS_BYTES, self.anonymous_bytes.total, self.limits.max_anonymous_bytes
            ),
        ]

    @property
    def is_full(self) -> bool:
        """Whether the requests of all clients are rejected."""
        return bool(self._worker.full(WORKING))

    def account(self, key: str, partner: str, authorization: bytes) -> Account:
        """The account of a credential; the Authorization header is recognized from now on."""
        account = self._credentials.get((key, partner)) or self._new_account(key, partner)
        if authorization:
            if len(self._recognized) >= _MAX_ACCOUNTS:
                self._recognized.clear()
            self._recognized[authorization] = account
        return account

    def _new_account(self, key: str, partner: str) -> Account:
        if len(self._credentials) >= _MAX_ACCOUNTS:
            self._forget_idle_accounts()
        if partner not in self._partners:
            limits = self._authenticated_limits(self.limits.partner_share)
            self._partners[partner] = Account("this partner", limits, self._worker)
        limits = self._authenticated_limits(self.limits.credential_share)
        account = Account("this credential", limits, self._partners[partner], (key, partner))
        self._credentials[key, partner] = account
        return account

    def _authenticated_limits(self, share: float) -> tuple[int, ...]:
        return self._limits_of(share, requests=max(1, int(self.limits.max_requests * share)))

    def _forget_idle_accounts(self) -> None:
        self._recognized.clear()
        self._credentials = _without_idle(self._credentials)
        self._partners = _without_idle(self._partners)

    def _limits_of(
        self, share: float, *, working: int = _UNLIMITED, requests: int = _UNLIMITED
    ) -> tuple[int, ...]:
        """The limits of an account with a share of the worker."""
        limits = self.limits
        # With room for the chunk that makes a body larger than the maximum: that is refused as 413.
        smallest = limits.max_request_bytes + _CHUNK_BYTES
        return (
            working,
            requests,
            max(smallest, int(limits.max_body_bytes * share)),
            max(smallest, int(limits.max_response_bytes * share)),
            max(1, int(limits.max_connections * share)),
        )


def _without_idle(accounts: dict[T, Account]) -> dict[T, Account]:
    return {key: account for key, account in accounts.items() if not account.is_idle}


class AcceptedRequest:
    """One request: what it holds, from its acceptance until its client has the response."""

    _free_bytes = FREE_BYTES
    _held_body = 0
    _held_response = 0
    _is_waiting = False
    _has_ended = False
    _is_incomplete = False
    _unread: Message | None = None
    message_event: asyncio.Event | None = None
    """Set while there is a part of the body that was not received; of the HTTP protocol."""
    _scope: Scope
    _receive: Receive

    def __init__(
        self, shedder: LoadShedder, connection: Connection, account: Account, *, is_anonymous: bool
    ) -> None:
        self._shedder = shedder
        self._connection = connection
        self._account = account
        self.is_anonymous = is_anonymous
        account.add_requests(1)
        if not is_anonymous:
            connection.identified(account)

    @property
    def is_worker_full(self) -> bool:
        return self._shedder.is_full

    @property
    def stopping(self) -> asyncio.Event:
        return self._shedder.stopping

    @property
    def usage(self) -> list[ResourceUsage]:
        return self._shedder.usage()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["admission"] = self
        self._scope, self._receive = scope, receive
        try:
            await self._shedder.app(scope, self.receive, send)
        except asyncio.CancelledError:
            await cut_requests.respond(scope, receive, send, is_complete=not self._is_incomplete)
        finally:
            self._release()
            self._has_ended = True
            del scope["admission"]  # a reference cycle, which only the garbage collector would free

    def identify(self, key: str, partner: str) -> None:
        """Charge the request to its credential. Raises Overloaded beyond a share."""
        if self._account.owner == (key, partner):
            return
        account = self._shedder.account(key, partner, self._scope.get(AUTHORIZATION, b""))
        if self._scope["method"] in _SAFE_METHODS:
            account.require_room(RESPONSE_BYTES, 1)
        account.require_room(REQUESTS, 1)
        self._release()
        self._account, self.is_anonymous = account, False
        account.add_requests(1)
        self._connection.identified(account)

    def hold_body(self, size: int) -> None:
        """Hold bytes of a body in addition to those received. Raises Overloaded."""
        excess = max(0, size - self._free_bytes)
        self._free_bytes -= size - excess
        if excess:
            self._account.require_room(BODY_BYTES, excess)
            self._account.add(BODY_BYTES, excess)
            self._held_body += excess

    def hold_response(self, size: int) -> None:
        """Hold the bytes of a response. Raises Overloaded, unless the request may have written."""
        if size <= MAX_UNSLICED_BYTES:
            return
        if self._scope["method"] in _SAFE_METHODS:
            self._account.require_room(RESPONSE_BYTES, size)
        self._account.add(RESPONSE_BYTES, size)
        self._held_response += size

    def in_slices(self, send: Send) -> Send:
        """A function that sends large bodies in slices.

        The transport would keep all that the client has not read. uvicorn sends a message only once
        the client has read most of those before it.
        """
        return partial(self._send_slices, send)

    async def receive(self) -> Message:
        """The next part of the body. Raises Overloaded, and TooLarge before authentication."""
        message, self._unread = self._unread, None
        if message is None:
            message = await self._next_message()
        body = message.get("body", b"")
        excess = len(body) - self._free_bytes
        if excess <= 0:
            self._free_bytes -= len(body)
        elif not self.is_anonymous:
            self.hold_body(len(body))
        elif self._free_bytes:
            self._unread = {**message, "body": body[self._free_bytes :]}
            message = {**message, "body": body[: self._free_bytes], "more_body": True}
            self._free_bytes = 0
        else:
            raise TooLarge(
                "The body of a request that is not authenticated is larger than "
                f"{MAX_ANONYMOUS_BODY_BYTES} bytes."
            )
        return message

    async def _next_message(self) -> Message:
        if self.message_event is not None and self.message_event.is_set():
            return await self._receive()  # nothing to wait for
        self.set_waiting(True)
        try:
            return await self._receive()
        except asyncio.CancelledError:
            self._is_incomplete = True
            raise
        finally:
            self.set_waiting(False)

    async def _send_slices(self, send: Send, message: Message) -> None:
        body = message.get("body", b"")
        if len(body) <= MAX_UNSLICED_BYTES:
            await send(message)
            return
        streamed = max(0, len(body) - self._held_response)
        self._account.add(RESPONSE_BYTES, streamed)
        try:
            for start in range(0, len(body), FREE_BYTES):
                part = body[start : start + FREE_BYTES]
                await send({**message, "body": part, "more_body": True})
            await send({**message, "body": b""})
        finally:
            self._account.add(RESPONSE_BYTES, -streamed)

    def set_waiting(self, is_waiting: bool) -> None:
        """Whether the request waits for its client: then it does not count as working."""
        if is_waiting != self._is_waiting and not self._has_ended:
            self._is_waiting = is_waiting
            self._account.add(WORKING, -1 if is_waiting else 1)

    def _release(self) -> None:
        if self._is_waiting:
            self.set_waiting(False)
        account = self._account
        account.add_requests(-1)
        if self._held_body:
            account.add(BODY_BYTES, -self._held_body)
        if self._held_response:
            account.add(RESPONSE_BYTES, -self._held_response)
        self._held_body = self._held_response = 0
        if self.is_anonymous:
            self._shedder.anonymous_bytes.release(self._connection)
