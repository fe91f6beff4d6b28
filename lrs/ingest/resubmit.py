"""Use case: send a refused item again, as it was or corrected, in the form of its source."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import msgspec

from lrs.errors import Conflict, InvalidParameter, NotFound
from lrs.ingest.model import ACCEPTED, IngestContext, ItemParser, Outcome
from lrs.ingest.parse import StatementParser, TrackEventParser
from lrs.ingest.pipeline import IngestPipeline
from lrs.settings import Settings
from lrs.store import refusals
from lrs.store.postgres import Database
from lrs.store.refusals import Refusal
from lrs.xapi import strict_json

_XAPI = frozenset({"xapi", "forward", "pull"})
_ATOMIC = frozenset({"xapi", "forward"})
# Sources whose items cannot be sent again.
WHY_NOT = {
    "canvas": "It is the report of a tool, signed for one launch: only the tool can send it again.",
}


@dataclass(frozen=True, slots=True)
class Resubmission:
    """The outcomes of a resubmission; `is_batch` if a request with several items was sent."""

    outcomes: list[Outcome]
    is_batch: bool

    @property
    def is_accepted(self) -> bool:
        """Whether all items are stored."""
        return all(outcome.kind in ACCEPTED for outcome in self.outcomes)


async def find(database: Database, partner_id: int, refusal_id: UUID) -> Refusal:
    """Raises NotFound."""
    refusal = await refusals.get(database, partner_id, refusal_id)
    if refusal is None:
        raise NotFound(f"Refusal {refusal_id} not found.")
    return refusal


async def resubmit(
    pipeline: IngestPipeline,
    database: Database,
    settings: Settings,
    refusal: Refusal,
    context: IngestContext,
    body: bytes | None,
) -> Resubmission:
    """Sends the item again, and notes that it was accepted; see `send`."""
    sent = await send(pipeline, settings, refusal, context, body)
    if sent.is_accepted:
        await refusals.set_resubmitted(database, context.partner_id, refusal.refusal_id)
    return sent


async def send(
    pipeline: IngestPipeline,
    settings: Settings,
    refusal: Refusal,
    context: IngestContext,
    body: bytes | None,
) -> Resubmission:
    """Sends the item again through the pipeline; `body` replaces it.

    The context is that of the one who sends, without source, organization and version, which are
    those of the refusal. Raises Conflict if the item cannot be sent again, BadRequest and TooLarge
    if the body is not JSON or not one item, and the errors of `IngestPipeline.submit`.
    """
    if refusal.source in WHY_NOT:
        raise cannot_resubmit(refusal)
    items, is_batch = _items(refusal, body, settings.max_batch_items)
    parser = _parser(refusal, settings)
    outcomes = await pipeline.submit(
        items, _context(refusal, context), parser, atomic=refusal.source in _ATOMIC
    )
    return Resubmission(outcomes, is_batch)


def cannot_resubmit(refusal: Refusal) -> Conflict:
    """The error for an item of a source in `WHY_NOT`."""
    return Conflict(f"The item cannot be sent again. {WHY_NOT[refusal.source]}")


def _items(refusal: Refusal, body: bytes | None, max_items: int) -> tuple[list[bytes], bool]:
    is_request = refusal.item_index is None
    if body is None:
        text = _kept_text(refusal)
        return strict_json.split_batch(text, max_items) if is_request else ([text], False)
    items, is_batch = strict_json.split_batch(body, max_items)
    if is_batch and not is_request:
        raise InvalidParameter("The body must be the one corrected item, not an array.")
    return items, is_batch


def _kept_text(refusal: Refusal) -> bytes:
    if refusal.item is None:
        raise Conflict("The text of the item is not kept: send the item as the body.")
    if not refusal.is_complete:
        raise Conflict(
            f"Only {len(refusal.item)} of {refusal.item_bytes} bytes of the item are kept: send "
            "the item as the body."
        )
    return refusal.item


def _parser(refusal: Refusal, settings: Settings) -> ItemParser:
    if refusal.source == "track":
        return TrackEventParser(settings.max_statement_bytes)
    if refusal.source in _XAPI:
        return StatementParser(settings.max_xapi_statement_bytes, statement_id=refusal.requested_id)
    return StatementParser(settings.max_statement_bytes)


def _context(refusal: Refusal, context: IngestContext) -> IngestContext:
    version = refusal.version
    return msgspec.structs.replace(
        context,
        organization=refusal.organization or None,
        version="2.0.0" if version == "2.0.0" else "1.0.3" if version else None,
        source=refusal.source,
        requested_id=refusal.requested_id,
    )
