"""What is learned of a request while it runs: for its log line and for the ledger."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.types import Scope

from lrs.auth.authenticate import Caller
from lrs.errors import LRSError
from lrs.ingest.model import Outcome
from lrs.store.registry import Credential
from lrs.store.tools import Tool

Client = Caller | Credential | Tool
"""What authenticates a request."""


class RequestRecord:
    """The record of one request, in `scope["record"]`.

    `partner` and `key` are authenticated, or empty. `tried_key` is the key that a failed
    authentication named, if it is not in the Authorization header; `named_partner` the partner, if
    it is not in the path. `body` is the beginning of a body with items.
    """

    __slots__ = (
        "body",
        "body_size",
        "error",
        "keeps_items",
        "key",
        "named_partner",
        "outcomes",
        "partner",
        "partner_id",
        "tried_key",
    )

    def __init__(self) -> None:
        self.partner_id = 0
        self.partner = ""
        self.key = ""
        self.keeps_items = True
        self.tried_key: str | None = None
        self.named_partner: str | None = None
        self.error: LRSError | None = None
        self.outcomes: Sequence[Outcome] = ()
        self.body: bytes | None = None
        self.body_size = 0

    def fail(self, error: LRSError) -> None:
        """Sets the error, without its frames: they hold the body until a garbage collection."""
        error.__traceback__ = error.__context__ = None
        self.error = error

    def identify(self, client: Client, key: str) -> None:
        """Sets the authenticated credential or tool; `key` is its name in the ledger."""
        self.partner_id, self.partner, self.key = client.partner_id, client.partner, key
        self.keeps_items = client.partner_settings.keep_refused_items


def record_of(scope: Scope) -> RequestRecord:
    """The record of a request, created at its first use."""
    record: RequestRecord | None = scope.get("record")
    if record is None:
        record = scope["record"] = RequestRecord()
    return record
