"""The central values of the pipeline, in the order in which a POST creates them.

bytes --ItemParser--> ParsedItem --prepare--> PreparedItem --group commit--> Outcome
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from lrs.errors import LRSError
from lrs.store.statements.insert import StatementRow
from lrs.xapi.canvas_callbacks import PageView
from lrs.xapi.signatures import Signature
from lrs.xapi.validation import Version


@dataclass(frozen=True, slots=True)
class IngestContext:
    """The caller's side of a request: partner, organization, authority and xAPI version.

    `home_page` is the partner's; `authority` is the agent as JSON text. `defines` is the scope
    `define`: definitions of activities and names of agents are stored. Without a `version`, the
    `version` member of each statement decides, or else 1.0.3.
    """

    partner_id: int
    partner: str
    home_page: str
    organization: str | None
    authority: str
    authority_key: int
    defines: bool
    version: Version | None = None


class ParsedItem(msgspec.Struct, frozen=True, gc=False):
    """A valid statement: as a value, as compact JSON text, with the data attached to it."""

    statement: dict[str, Any]
    text: bytes
    organization: str | None
    version: Version
    contents: tuple[tuple[str, bytes], ...] = ()
    signatures: tuple[Signature, ...] = ()
    page_view: PageView | None = None


class PreparedItem(msgspec.Struct, frozen=True, gc=False):
    """The row to insert, and whether the item had an id when it was received.

    It does not keep the parsed value: the next item is parsed into the same memory, which is still
    in the CPU cache.
    """

    row: StatementRow
    has_id: bool


ItemParser = Callable[[bytes, Any, IngestContext], ParsedItem]
"""Turns the compact text and the value of an item into a statement. Raises InvalidStatement."""

OutcomeKind = Literal["stored", "duplicate", "conflict", "invalid", "too_large", "aborted"]
"""`aborted`: a valid item of an atomic request in which another item was refused."""

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
