"""The central values of the pipeline, in the order in which a POST creates them.

bytes -> ItemParser -> ParsedItem -> prepare -> PreparedItem -> group commit -> Outcome
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from lrs.errors import LRSError
from lrs.ledger.refusals import Origin
from lrs.limits.model import Subject
from lrs.store.nonces import Nonce
from lrs.store.statements.insert import StatementRow
from lrs.store.tools import Tool
from lrs.xapi.canvas_callbacks import PageView
from lrs.xapi.canvas_launches import Launch
from lrs.xapi.signatures import Signature
from lrs.xapi.validation import Version


class IngestContext(msgspec.Struct, frozen=True, gc=False):
    """What all items of a request share: partner, organization, authority and xAPI version.

    `home_page` is the base URL for the partner's ids, `authority` an agent as JSON text. Without
    `defines` (scope `define`), definitions of activities and names of agents are not updated.
    Without `version`, each item is read as the version that it names, or else as 1.0.3. `subjects`
    have the quotas that apply. Without `reads_all`, a conflict does not name differences from
    statements of other authorities. With `accepts_duplicates`, a duplicate is not refused.

    For the ledger: `source` is the interface, `credential` the name of the credential or tool, and
    `requested_id` the id in the query of a PUT. `keeps_items`: the text of refused items is kept.
    """

    partner_id: int
    partner: str
    home_page: str
    organization: str | None
    authority: str
    authority_key: int
    defines: bool
    version: Version | None = None
    subjects: tuple[Subject, ...] = ()
    reads_all: bool = False
    accepts_duplicates: bool = False
    source: str = "statements"
    credential: str = ""
    requested_id: str | None = None
    keeps_items: bool = True

    @property
    def origin(self) -> Origin:
        """The origin of the items in the ledger."""
        return Origin(
            self.partner_id,
            self.source,
            self.credential,
            self.organization or "",
            self.version,
            self.requested_id,
            self.keeps_items,
        )


class ParsedItem(msgspec.Struct, frozen=True, gc=False):
    """A valid statement, as a value and as compact JSON text, with what is stored beside it.

    `contents` are pairs of SHA-2 in hexadecimal and the bytes of an attachment. A statement without
    an id gets `statement_id`, or `fallback_id` if that one is taken.
    """

    statement: dict[str, Any]
    text: bytes
    organization: str | None
    version: Version
    contents: tuple[tuple[str, bytes], ...] = ()
    signatures: tuple[Signature, ...] = ()
    page_view: PageView | None = None
    statement_id: str | None = None
    fallback_id: str | None = None


ItemParser = Callable[[bytes, IngestContext], ParsedItem]
"""Turns the bytes of one item into a valid statement.

Raises TooLarge, MalformedJSON or InvalidStatement.
"""


class PreparedItem(msgspec.Struct, frozen=True, gc=False):
    """The row to insert, and the id as sent. `has_id` is False if the LRS set the id.

    The parsed value is not kept: the next item reuses its memory, which is still in the CPU cache.
    """

    row: StatementRow
    statement_id: str
    has_id: bool


OutcomeKind = Literal["stored", "duplicate", "conflict", "invalid", "too_large", "aborted"]
"""`aborted`: a valid item of an atomic request that was not stored because another was refused."""

ACCEPTED = frozenset({"stored", "duplicate"})
REFUSED = frozenset({"conflict", "invalid", "too_large"})


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """The result of one item; `problem` is None if it was stored or aborted."""

    kind: OutcomeKind
    statement_id: str | None
    problem: LRSError | None = None

    @property
    def status(self) -> int:
        """The HTTP status of the item."""
        return self.problem.status if self.problem else 200


@dataclass(frozen=True, slots=True)
class SignedCallback:
    """An authenticated request to a callback URL: its launch, its tool, the nonce to consume.

    `timestamp` is that of the signature, in seconds since 1970.
    `subjects` have the limits that apply: those of the partner and of the tool.
    """

    launch: Launch
    tool: Tool
    nonce: Nonce
    timestamp: int
    subjects: tuple[Subject, ...]
