"""Several track events of one day, whose dates have no time.

Organization, content, user, status and date identify a track event. A date without a time is the
same for all events of its day: there, an event with other measures is a further one. It is stored
under an id of its own, which a retry finds again.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import orjson

from lrs.ingest.model import Outcome, PreparedItem
from lrs.store.statements.insert import InsertResult, with_id
from lrs.xapi import track_events
from lrs.xapi.statement import derived_uuid

SOURCE = "track"


def further_events(
    prepared: Sequence[PreparedItem | Outcome], results: Sequence[InsertResult]
) -> dict[int, PreparedItem]:
    """The prepared items that are further events, under their own ids, by their index in `results`.

    `results` are those of the insert of the prepared items.
    """
    items = [item for item in prepared if isinstance(item, PreparedItem)]
    return {
        index: _further(item)
        for index, (item, existing) in enumerate(zip(items, results, strict=True))
        if existing is not None and existing.digest != item.row.digest and _has_no_time(item)
    }


def replaced(
    prepared: Sequence[PreparedItem | Outcome], further: dict[int, PreparedItem]
) -> list[PreparedItem | Outcome]:
    """The prepared items with the further events."""
    indexes = iter(range(len(prepared)))
    return [
        further.get(next(indexes), item) if isinstance(item, PreparedItem) else item
        for item in prepared
    ]


def _has_no_time(item: PreparedItem) -> bool:
    return track_events.has_day_precision(orjson.loads(item.row.text)["timestamp"])


def _further(item: PreparedItem) -> PreparedItem:
    """The id is derived from the measures too, which are in the digest."""
    further_id = derived_uuid("further event", item.row.statement_id, item.row.digest.hex())
    return msgspec.structs.replace(item, row=with_id(item.row, further_id), statement_id=further_id)
