"""Rebuilding the projection of partners whose settings have changed, beside the projector.

Some settings apply to statements projected before by a rebuild only. Until it is complete, readers
see the reports by the earlier settings. The other partners are projected meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager

from lrs.projection.lag import Backlog
from lrs.projection.rebuild import rebuild_partner
from lrs.projection.vocabulary import Vocabulary
from lrs.store.postgres import Database

_log = logging.getLogger("lrs.projection")

_BACKOFF_SECONDS = 60.0


class BackgroundRebuilds:
    """At most one rebuild at a time, with connections of its own.

    A partner whose rebuild fails is retried after a backoff.
    """

    def __init__(
        self,
        open_database: Callable[[], AbstractAsyncContextManager[Database]],
        vocabulary: Vocabulary,
    ) -> None:
        self._open_database = open_database
        self._vocabulary = vocabulary
        self._task: asyncio.Task[None] | None = None
        self._retry_at: dict[int, float] = {}

    def start(self, partners: Iterable[Backlog]) -> None:
        """Start the rebuild of the first partner with changed settings, unless one is running."""
        if self._task and not self._task.done():
            return
        due = (
            item
            for item in partners
            if item.settings_differ and self._retry_at.get(item.partner_id, 0.0) < time.monotonic()
        )
        if partner := next(due, None):
            self._task = asyncio.create_task(self._rebuild(partner))

    async def close(self) -> None:
        """End the rebuild that is running, which changes nothing then."""
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _rebuild(self, partner: Backlog) -> None:
        began = time.monotonic()
        try:
            async with self._open_database() as database:
                await rebuild_partner(
                    database, partner.partner_id, self._vocabulary, if_settings_differ=True
                )
        except Exception:
            _log.exception(
                "rebuild of partner %s failed; retry in %.0f s", partner.partner, _BACKOFF_SECONDS
            )
            self._retry_at[partner.partner_id] = time.monotonic() + _BACKOFF_SECONDS
        else:
            _log.info(
                "reports of partner %s follow its changed settings; the rebuild took %.0f s",
                partner.partner,
                time.monotonic() - began,
            )
