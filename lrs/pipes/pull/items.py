"""Items that a pull or an import has read, through the ordinary pipeline into the store.

What the source says of them (`stored`, authority) is recorded as their origin. An item whose origin
is recorded was processed before: it is skipped, so that reading it again costs nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from lrs.ingest.model import REFUSED, IngestContext, Outcome
from lrs.ingest.parse import StatementParser
from lrs.ingest.pipeline import IngestPipeline
from lrs.ledger.worker import Ledger
from lrs.limits.model import DefaultLimits
from lrs.pipes.pull import ingest_contexts
from lrs.store import registry, statement_origins
from lrs.store.pipes import Pipe
from lrs.store.postgres import Database
from lrs.store.registry import Partner
from lrs.store.statement_origins import StatementOrigin
from lrs.xapi import attachment_rules, index_keys
from lrs.xapi.multipart import Attachment
from lrs.xapi.timestamps import to_utc
from lrs.xapi.validation import is_uuid

_CHUNK = 250
_CONCURRENT_CHUNKS = 3
"""One is prepared, one inserted, and the origins of one are recorded."""
_PARTNER_TTL_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class SourceItem:
    """An item as sent, and what the source says of it; `statement_id` is None unless a UUID."""

    text: bytes
    value: Any
    statement_id: str | None
    stored: datetime | None

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.text).hexdigest()[:16]

    @property
    def voided_id(self) -> str | None:
        """The id of the statement that this one voids."""
        if not isinstance(self.value, dict):
            return None
        verb, target = self.value.get("verb"), self.value.get("object")
        if not (isinstance(verb, dict) and isinstance(target, dict)):
            return None
        if verb.get("id") != index_keys.VOIDED or target.get("objectType") != "StatementRef":
            return None
        return str(target["id"]).lower() if is_uuid(target.get("id")) else None

    def lacks_attachments(self, attachments: Mapping[str, Attachment]) -> bool:
        """Whether the bytes of an attachment are neither among these nor at a fileUrl."""
        if b'"attachments"' not in self.text:
            return False
        return bool(attachment_rules.missing_attachments(self.value, attachments))


@dataclass(slots=True)
class PageOutcomes:
    """The outcomes of a page. `refused` are digests of refused items without an id."""

    counts: Counter[str] = field(default_factory=Counter)
    refused: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Batch:
    """What the chunks of a page or of lines share."""

    pipe: Pipe
    origin: str
    context: IngestContext
    parser: StatementParser
    keeps_authority: bool
    semaphore: asyncio.Semaphore


def parse_item(text: bytes) -> SourceItem:
    try:
        value = orjson.loads(text)
    except ValueError:
        value = None
    members = value if isinstance(value, dict) else {}
    statement_id = members.get("id")
    stored = members.get("stored")
    try:
        stored_at = to_utc(stored) if isinstance(stored, str) else None
    except ValueError:
        stored_at = None
    if stored_at is not None and "timestamp" not in members and text[:1] == b"{":
        text = with_timestamp(text, str(stored))
        members["timestamp"] = stored
    return SourceItem(
        text, value, str(statement_id).lower() if is_uuid(statement_id) else None, stored_at
    )


def with_timestamp(text: bytes, stored: str) -> bytes:
    """The text of an object with members, none of which is `timestamp`, with that of the source."""
    return b'{"timestamp":%b,%b' % (orjson.dumps(stored), text[1:].lstrip())


class ItemStore:
    """Stores items of pipes; one instance per process."""

    def __init__(
        self,
        database: Database,
        pipeline: IngestPipeline,
        ledger: Ledger,
        limits: DefaultLimits,
        max_statement_bytes: int,
    ) -> None:
        self._database = database
        self._pipeline = pipeline
        self._ledger = ledger
        self._limits = limits
        self._max_statement_bytes = max_statement_bytes
        self._partners: dict[str, tuple[Partner, float]] = {}

    async def new(
        self, pipe: Pipe, items: Sequence[SourceItem], refused: Collection[str]
    ) -> list[SourceItem]:
        """Those that were not processed before."""
        ids = [item.statement_id for item in items if item.statement_id]
        recorded = (
            await statement_origins.list_ids_of_pipe(self._database, pipe, ids) if ids else set()
        )
        return [
            item
            for item in items
            if (
                item.statement_id not in recorded
                if item.statement_id
                else item.digest not in refused
            )
        ]

    async def missing(self, pipe: Pipe, ids: Iterable[str]) -> list[str]:
        """Those of the statements that are not stored."""
        distinct = list(dict.fromkeys(ids))
        if not distinct:
            return []
        stored = await statement_origins.list_stored_ids(self._database, pipe.partner_id, distinct)
        return [item for item in distinct if item not in stored]

    async def store(
        self,
        pipe: Pipe,
        origin: str,
        items: Sequence[SourceItem],
        attachments: Mapping[str, Attachment],
        result: PageOutcomes,
        *,
        keeps_authority: bool,
    ) -> None:
        """Stores the items and adds their outcomes; the ledger has refused ones before the origins.

        Raises Overloaded, Unavailable, QuotaExceeded and StorageQuotaExceeded.
        """
        chunks = [items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK)]
        batch = _Batch(
            pipe,
            origin,
            await self._context(pipe),
            StatementParser(self._max_statement_bytes, attachments),
            keeps_authority,
            asyncio.Semaphore(_CONCURRENT_CHUNKS),
        )
        tasks = [asyncio.ensure_future(self._store_chunk(batch, chunk)) for chunk in chunks]
        try:
            for stored in await asyncio.gather(*tasks):
                result.counts += stored.counts
                result.refused += stored.refused
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _store_chunk(self, batch: _Batch, chunk: Sequence[SourceItem]) -> PageOutcomes:
        """Stores a chunk, while another one is prepared."""
        result, origins = PageOutcomes(), list[StatementOrigin]()
        async with batch.semaphore:
            for context, group in _by_authority(chunk, batch):
                outcomes = await self._pipeline.submit(
                    [item.text for item in group], context, batch.parser
                )
                for item, outcome in zip(group, outcomes, strict=True):
                    _add_outcome(result, origins, item, outcome)
            if result.refused or any(item.refused for item in origins):
                await self._ledger.write()
            await statement_origins.add_origins(self._database, batch.pipe, batch.origin, origins)
        return result

    async def preview(self, pipe: Pipe, items: Sequence[SourceItem]) -> list[Outcome]:
        """The outcomes that the items would have, without their attachments."""
        parser = StatementParser(self._max_statement_bytes)
        context = await self._context(pipe)
        texts = [item.text for item in items]
        return await self._pipeline.submit(texts, context, parser, dry_run=True)

    async def _partner(self, name: str) -> Partner:
        """The partner, as it was at most some seconds ago."""
        partner, read_at = self._partners.get(name, (None, 0.0))
        if partner is None or time.monotonic() - read_at > _PARTNER_TTL_SECONDS:
            partner = await registry.get_partner(self._database, name)
            self._partners[name] = partner, time.monotonic()
        return partner

    async def _context(self, pipe: Pipe) -> IngestContext:
        partner = await self._partner(pipe.partner)
        return ingest_contexts.ingest_context(pipe, partner, self._limits)


def _add_outcome(
    result: PageOutcomes, origins: list[StatementOrigin], item: SourceItem, outcome: Outcome
) -> None:
    result.counts[outcome.kind] += 1
    is_refused = outcome.kind in REFUSED
    if item.statement_id is None:
        if is_refused:
            result.refused.append(item.digest)
        return
    origins.append(
        StatementOrigin(item.statement_id, item.stored, authority_text(item), is_refused)
    )


def authority_text(item: SourceItem) -> str | None:
    """The authority that the source sent, as JSON text."""
    return _json_text(item.value.get("authority")) if isinstance(item.value, dict) else None


def _json_text(value: Any) -> str | None:
    """The text for the column; None for what PostgreSQL cannot store."""
    if value is None:
        return None
    try:
        text = orjson.dumps(value).decode()
    except (TypeError, ValueError):
        return None
    return None if "\\u0000" in text or len(text) > 10_000 else text


def _by_authority(
    items: Sequence[SourceItem], batch: _Batch
) -> list[tuple[IngestContext, list[SourceItem]]]:
    """The items with the context of their authority, in order of the first one of each."""
    context = batch.context
    if not batch.keeps_authority:
        return [(context, list(items))]
    groups: dict[str, tuple[IngestContext, list[SourceItem]]] = {}
    for item in items:
        authority = item.value.get("authority") if isinstance(item.value, dict) else None
        of_item = ingest_contexts.with_authority(context, authority)
        groups.setdefault(of_item.authority, (of_item, []))[1].append(item)
    return list(groups.values())
