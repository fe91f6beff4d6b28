"""The projector: advances the projection of all partners for the life of a process."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import datetime

from lrs import resources
from lrs.errors import Unavailable
from lrs.projection import mail_case, partner_lock
from lrs.projection.advance import BATCH_SIZE, advance
from lrs.projection.background_rebuilds import BackgroundRebuilds
from lrs.projection.lag import Backlog, backlogs
from lrs.projection.vocabulary import Vocabulary
from lrs.store.postgres import Database, retry_transaction, translate_errors
from lrs.store.statements.watermark import WatermarkReader

_TO_REGROUP = resources.query("list_partners_to_regroup")

_log = logging.getLogger("lrs.projection")

_BACKOFF_SECONDS = 30.0
_REGROUP_BACKOFF_SECONDS = 300.0


class Projector:
    """Projects one batch of each partner in turn.

    A partner whose batch fails is retried after a backoff and does not delay the others. With
    `rebuilds`, partners whose settings have changed are rebuilt meanwhile.
    """

    def __init__(
        self,
        database: Database,
        vocabulary: Vocabulary,
        *,
        batch_size: int = BATCH_SIZE,
        rebuilds: BackgroundRebuilds | None = None,
    ) -> None:
        self._pool = database.readers
        self._watermark_reader = WatermarkReader(database)
        self._vocabulary = vocabulary
        self._batch_size = batch_size
        self._rebuilds = rebuilds
        self._retry_at: dict[int, float] = {}
        self._regroup_at: dict[int, float] = {}
        self._warned: set[str] = set()

    async def run_once(self) -> float:
        """Project one batch of each partner with a backlog. Raises Unavailable.

        Returns the largest lag, in seconds, of the partners with a full batch; 0 without any.
        """
        with translate_errors():
            await self._regroup()
            partners = await backlogs(self._pool)
        self._warn_of_rebuilds({item.partner for item in partners if item.rules_are_outdated})
        if self._rebuilds:
            self._rebuilds.start(partners)
        pending = [backlog for backlog in partners if self._is_due(backlog)]
        watermarks = await asyncio.gather(
            *(self._watermark_reader.cached_watermark(backlog.partner_id) for backlog in pending)
        )
        lag_left = 0.0
        for backlog, watermark in zip(pending, watermarks, strict=True):
            if backlog.oldest_pending_at and backlog.oldest_pending_at <= watermark:
                count = await self._advance(backlog, watermark)
                if count == self._batch_size:
                    lag_left = max(lag_left, backlog.lag_seconds)
        return lag_left

    def _warn_of_rebuilds(self, partners: set[str]) -> None:
        for partner in sorted(partners - self._warned):
            _log.warning(
                "reports of partner %s lack what this version adds: run `lrs reports rebuild %s`",
                partner,
                partner,
            )
        self._warned |= partners

    async def _regroup(self) -> None:
        """Regroup the learners of partners whose setting has changed, unless they are locked."""
        for row in await self._pool.fetch(_TO_REGROUP):
            partner_id = row["partner_id"]
            if self._regroup_at.get(partner_id, 0.0) > time.monotonic():
                continue
            try:
                async with self._pool.acquire() as connection, connection.transaction():
                    if await partner_lock.try_acquire(connection, partner_id) is not None:
                        await mail_case.apply_setting(connection, partner_id)
            except Exception:
                # The other partners, and the statements of this one, must not wait for it.
                _log.exception(
                    "regrouping learners of partner %d failed; it is retried", partner_id
                )
                self._regroup_at[partner_id] = time.monotonic() + _REGROUP_BACKOFF_SECONDS

    def _is_due(self, backlog: Backlog) -> bool:
        if backlog.oldest_pending_at is None:
            return False
        return self._retry_at.get(backlog.partner_id, 0.0) <= time.monotonic()

    async def _advance(self, backlog: Backlog, watermark: datetime) -> int:
        """Project one batch; return its number of statements, 0 after a failure."""
        try:
            with translate_errors():
                async with self._pool.acquire() as connection:
                    return await retry_transaction(
                        lambda: advance(
                            connection,
                            backlog.partner_id,
                            self._vocabulary,
                            watermark,
                            limit=self._batch_size,
                        )
                    )
        except Unavailable:
            raise
        except Exception:
            _log.exception(
                "projection of partner %s failed; retry in %.0f s",
                backlog.partner,
                _BACKOFF_SECONDS,
            )
            self._retry_at[backlog.partner_id] = time.monotonic() + _BACKOFF_SECONDS
            return 0
