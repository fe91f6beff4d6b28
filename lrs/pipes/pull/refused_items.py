"""Refused items of a pull or an import that are sent again: as they were, or corrected.

What the source says of an item (`stored`, authority) stays its origin: the pipe does not read it
again, and its page shows where it comes from.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
import orjson

from lrs.errors import Conflict, NotFound
from lrs.ingest import resubmit as ingest
from lrs.ingest.model import IngestContext
from lrs.ingest.pipeline import IngestPipeline
from lrs.ingest.resubmit import Resubmission
from lrs.limits.model import DefaultLimits
from lrs.pipes import options
from lrs.pipes.client.origins import origin_of
from lrs.pipes.options import PullOptions
from lrs.pipes.pull import ingest_contexts
from lrs.pipes.pull.items import authority_text, parse_item, with_timestamp
from lrs.settings import Settings
from lrs.store import pipes as store
from lrs.store import refusals, statement_origins
from lrs.store.pipes import Pipe
from lrs.store.postgres import Database
from lrs.store.refusals import Refusal
from lrs.store.registry import Partner
from lrs.store.statement_origins import StatementOrigin


@dataclass(frozen=True, slots=True)
class _Origin:
    """What the source of a pipe says of an item; `authority` is JSON text."""

    pipe: Pipe
    origin: str
    stored: datetime | None
    authority: str | None


async def context_of_pipe(
    database: Database, settings: Settings, partner: Partner, refusal: Refusal, body: bytes | None
) -> IngestContext:
    """The context of the pull: the authority of the pipe, or that of the source by its option.

    The authority is the one that the source sent, whatever a corrected body has. Raises Conflict if
    the pipe does not exist.
    """
    found = await _origin(database, partner.partner_id, refusal, body)
    context = ingest_contexts.ingest_context(found.pipe, partner, DefaultLimits.of(settings))
    chosen = options.decode(PullOptions, found.pipe.options)
    if chosen.authority == "pipe" or found.authority is None:
        return context
    return ingest_contexts.with_authority(context, orjson.loads(found.authority))


async def resubmit(
    pipeline: IngestPipeline,
    database: Database,
    settings: Settings,
    refusal: Refusal,
    context: IngestContext,
    body: bytes | None,
) -> Resubmission:
    """Sends an item of any source again; that of a pull is recorded with its origin.

    Raises Conflict if the pipe does not exist, and the errors of `lrs.ingest.resubmit.send`.
    """
    if refusal.source != ingest_contexts.SOURCE:
        return await ingest.resubmit(pipeline, database, settings, refusal, context, body)
    found = await _origin(database, context.partner_id, refusal, body)
    if body is not None:
        body = _with_timestamp(body, found.stored)
    # The credential is the pipe, also if a partner sends: a repeated refusal is listed under it.
    context = msgspec.structs.replace(
        context, credential=refusal.credential, accepts_duplicates=True
    )
    sent = await ingest.send(pipeline, settings, refusal, context, body)
    if sent.is_accepted:
        for outcome in sent.outcomes:
            item = StatementOrigin(str(outcome.statement_id), found.stored, found.authority)
            await statement_origins.set_stored(database, found.pipe, found.origin, item)
        await refusals.set_resubmitted(database, context.partner_id, refusal.refusal_id)
    return sent


async def _origin(
    database: Database, partner_id: int, refusal: Refusal, body: bytes | None
) -> _Origin:
    """What the pipe recorded of the item, or else what its kept text says. Raises Conflict."""
    pipe = await _pipe(database, partner_id, refusal)
    item = parse_item((refusal.item if refusal.is_complete else body) or b"")
    statement_id = refusal.statement_id or item.statement_id
    if statement_id and (
        recorded := await statement_origins.find_origin(database, pipe, statement_id)
    ):
        return _Origin(pipe, **recorded)
    origin = origin_of(pipe.url) if pipe.url.startswith("http") else ""
    if not refusal.is_complete:
        return _Origin(pipe, origin, None, None)
    return _Origin(pipe, origin, item.stored, authority_text(item))


async def _pipe(database: Database, partner_id: int, refusal: Refusal) -> Pipe:
    name = ingest_contexts.pipe_name(refusal.credential)
    try:
        pipe = await store.get(database, partner_id, name)
    except NotFound:
        raise Conflict(
            f"The pipe {name!r} of the item was removed: add it again under this name, or send the "
            "corrected statement as a new one."
        ) from None
    if pipe.direction != ingest_contexts.SOURCE:
        raise Conflict(
            f"The item came through a pull {name!r} that was removed; the pipe of this name "
            "forwards. Send the corrected statement as a new one."
        )
    return pipe


def _with_timestamp(body: bytes, stored: datetime | None) -> bytes:
    """The item, with the `stored` of the source if it has no `timestamp`, as a pull stores it."""
    item = parse_item(body.strip(b" \t\r\n"))
    if not stored or not isinstance(item.value, dict) or not item.value:
        return item.text
    if "timestamp" in item.value:
        return item.text
    return with_timestamp(item.text, stored.astimezone(UTC).isoformat().replace("+00:00", "Z"))
