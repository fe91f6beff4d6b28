"""Following the statements of all partners, for as long as a process lives."""

from __future__ import annotations

import logging
import time
from datetime import datetime

from lrs.errors import Unavailable
from lrs.projection.advance import BATCH_SIZE, advance
from lrs.projection.lag import Backlog, backlogs
from lrs.projection.vocabulary import Vocabulary
from lrs.store.postgres import Database, retry_transaction, translate_errors
from lrs.store.statements.watermark import WatermarkReader

_log = logging.getLogger("lrs.projection")

_REST_SECONDS = 30.0


class Projector:
    """Takes a chunk of each partner in turn.

    A partner that cannot be followed is left alone for a while, so that it holds up no other.
    """

    def __init__(
        self, database: Database, vocabulary: Vocabulary, *, chunk: int = BATCH_SIZE
    ) -> None:
        self._pool = database.readers
        self._watermark_reader = WatermarkReader(database)
        self._vocabulary = vocabulary
        self._chunk = chunk
        self._rests_until: dict[int, float] = {}

    async def run_once(self) -> float:
        """Follows a chunk of what is new of each partner. Raises Unavailable.

        Returns how long, in seconds, those had waited of whom more is left; 0 if nothing is.
        """
        horizon = await self._watermark_reader.cached_watermark()
        left = 0.0
        with translate_errors():
            partners = await backlogs(self._pool)
        for each in partners:
            rests = self._rests_until.get(each.partner_id, 0.0) > time.monotonic()
            if each.oldest_pending_at and each.oldest_pending_at <= horizon and not rests:
                followed = await self._advance(each, horizon)
                left = max(left, each.lag_seconds if followed == self._chunk else 0.0)
        return left

    async def _advance(self, partner: Backlog, horizon: datetime) -> int:
        try:
            with translate_errors():
                async with self._pool.acquire() as connection:
                    return await retry_transaction(
                        lambda: advance(
                            connection,
                            partner.partner_id,
                            self._vocabulary,
                            horizon,
                            limit=self._chunk,
                        )
                    )
        except Unavailable:
            raise
        except Exception:
            _log.exception("the statements of %s cannot be followed", partner.partner)
            self._rests_until[partner.partner_id] = time.monotonic() + _REST_SECONDS
            return 0
