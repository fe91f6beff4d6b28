"""How far a dump or a restore is, from PostgreSQL's progress of COPY."""

from __future__ import annotations

from collections.abc import Callable

from lrs import resources
from lrs.store.postgres import Connection

Report = Callable[[float], None]
"""Gets the fraction of the work that is done, from 0 to 1."""

_COPIED = resources.query("list_copied_bytes")


class CopyProgress:
    """Reports the bytes that COPY has processed, as a fraction between `start` and `end`.

    `size` are the bytes of all tables: an estimate, since the text of a row has another size.
    """

    def __init__(
        self, connection: Connection, size: int, report: Report, start: float, end: float
    ) -> None:
        self._connection = connection
        self._size = max(size, 1)
        self._report = report
        self._start, self._end = start, end
        self._copied: dict[int, int] = {}

    async def poll(self) -> None:
        for relation, copied in await self._connection.fetch(_COPIED):
            self._copied[relation] = max(copied, self._copied.get(relation, 0))
        fraction = min(1.0, sum(self._copied.values()) / self._size)
        self._report(self._start + (self._end - self._start) * fraction)
