"""Compares the statements of a partner with those of the other LRS of a pipe.

Both sides are counted by the day of their timestamps, with a hash over ids and digests: a day
is equal if the same statements, by the equality of xAPI, are on both sides. Voided statements
are left out, as lists leave them out.
"""

from __future__ import annotations

import asyncio
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date
from hashlib import blake2b
from typing import Any
from uuid import UUID

import orjson

from lrs.errors import InvalidParameter
from lrs.pipes.client.endpoint import Endpoint
from lrs.pipes.forward import filters
from lrs.pipes.forward.cursor import saved_cursor
from lrs.pipes.model import PipeError
from lrs.pipes.options import ForwardFilter, ForwardOptions, PullFilter, decode
from lrs.pipes.pull import source
from lrs.store import dead_letters, statement_origins
from lrs.store.pipes import Pipe
from lrs.store.postgres import Database
from lrs.store.statements.log_page import read_log
from lrs.store.statements.lookup import StatementLoader, StoredStatement
from lrs.xapi import equality
from lrs.xapi.timestamps import parse_timestamp

Json = dict[str, Any]

_PAGE_SIZE = 500
_ID_PARTS = 256


@dataclass(frozen=True, slots=True)
class ComparedDay:
    """The statements of one day of this server and of the other LRS; equal by their hashes."""

    day: date
    local: int
    remote: int
    is_equal: bool


@dataclass(slots=True)
class Tally:
    """Numbers of statements and hashes by day. A hash does not depend on the order."""

    counts: Counter[date] = field(default_factory=Counter)
    hashes: dict[date, int] = field(default_factory=dict)

    def add(self, statement: Json) -> None:
        timestamp = statement.get("timestamp") or statement["stored"]
        day = parse_timestamp(timestamp).astimezone(UTC).date()
        key = UUID(statement["id"]).bytes + equality.digest(statement)
        hashed = int.from_bytes(blake2b(key, digest_size=8).digest())
        self.counts[day] += 1
        self.hashes[day] = self.hashes.get(day, 0) ^ hashed


def compare(local: Tally, remote: Tally) -> list[ComparedDay]:
    """The days of either side, in order."""
    days = sorted({*local.counts, *remote.counts})
    return [
        ComparedDay(
            day,
            local.counts[day],
            remote.counts[day],
            local.counts[day] == remote.counts[day]
            and local.hashes.get(day) == remote.hashes.get(day),
        )
        for day in days
    ]


async def verify(
    database: Database,
    pipe: Pipe,
    endpoint: Endpoint,
    on_page: Callable[[int], None] = lambda _: None,
) -> list[ComparedDay]:
    """Reads all statements of both sides that belong to the pipe; `on_page` gets their number.

    Of a forwarding pipe: those up to its position, without dead letters, and which of them the
    target has. Of a pulling pipe: those of the source, and which of them are stored.

    Raises PipeError, httpx.HTTPError, LRSError; InvalidParameter if the target cannot be read.
    """
    comparison = _Comparison(database, pipe, endpoint, on_page)
    if pipe.direction == "pull":
        return await comparison.of_pull()
    return await comparison.of_forward()


class _Comparison:
    def __init__(
        self, database: Database, pipe: Pipe, endpoint: Endpoint, on_page: Callable[[int], None]
    ) -> None:
        self._database = database
        self._pipe = pipe
        self._endpoint = endpoint
        self._on_page = on_page
        self._loader = StatementLoader(database)
        self._read = 0

    async def of_pull(self) -> list[ComparedDay]:
        local, remote = Tally(), Tally()
        chosen = decode(PullFilter, self._pipe.filter, "filter")
        params = {
            name: str(value).lower() if isinstance(value, bool) else str(value)
            for name in PullFilter.__struct_fields__
            if (value := getattr(chosen, name)) is not None
        }
        async for statements in self._pages(params):
            ids = [statement["id"].lower() for statement in statements]
            stored = await self._load(ids)
            voided = {key for key, item in stored.items() if item.voided}
            for statement in statements:  # some sources list voided statements too
                if statement["id"].lower() not in voided:
                    remote.add(statement)
            for item in stored.values():
                if not item.voided:
                    local.add(orjson.loads(item.payload))
        return compare(local, remote)

    async def of_forward(self) -> list[ComparedDay]:
        if decode(ForwardOptions, self._pipe.options).target != "statements":
            raise InvalidParameter("A webhook or a track endpoint cannot be read to verify it.")
        local, remote = Tally(), Tally()
        sent = _IdSet()
        async for texts in self._forwarded():
            for statement in map(orjson.loads, texts):
                local.add(statement)
                sent.add(statement["id"])
        async for statements in self._pages({}):
            for statement in statements:
                if statement["id"] in sent:
                    remote.add(statement)
        return compare(local, remote)

    async def _forwarded(self) -> AsyncIterator[Sequence[bytes]]:
        """Pages of the statements that the pipe has delivered."""
        if not self._pipe.cursor:
            return
        pipe, chosen = self._pipe, decode(ForwardFilter, self._pipe.filter, "filter")
        cursor = saved_cursor(pipe)
        position = cursor.first
        while position < cursor.sequence:
            page = await read_log(
                self._database,
                pipe.partner_id,
                filters.log_filter(chosen, pipe.home_page),
                after=position,
                before=cursor.sequence + 1,
                limit=_PAGE_SIZE,
            )
            if page.end == position:
                return
            position = page.end
            matching = await filters.matching(
                self._database, pipe.partner_id, chosen, page.statements
            )
            ids = [statement.statement_id for statement in matching]
            excluded = await statement_origins.list_ids_of_origins(
                self._database, pipe.partner_id, ids, [self._endpoint.origin]
            ) | await dead_letters.list_letter_ids(self._database, pipe.partner_id, pipe.name, ids)
            yield await self._stored([item for item in ids if item not in excluded])

    async def _stored(self, ids: Sequence[str]) -> list[bytes]:
        """The texts of those that are stored and not voided."""
        stored = await self._load(ids)
        return [item.payload for item in stored.values() if not item.voided]

    async def _load(self, ids: Sequence[str]) -> dict[str, StoredStatement]:
        """Those that are stored, by id."""
        distinct = list(dict.fromkeys(ids))
        loads = (self._loader.load(self._pipe.partner_id, item) for item in distinct)
        stored = zip(distinct, await asyncio.gather(*loads), strict=True)
        self._count(len(distinct))
        return {key: item for key, item in stored if item is not None}

    async def _pages(self, params: Mapping[str, str]) -> AsyncIterator[list[Json]]:
        """Pages of the statements of the other LRS. Raises PipeError."""
        endpoint = self._endpoint
        version = await source.find_version(endpoint, self._pipe.version)
        url = await source.find_statements_url(endpoint, version)
        first = {**params, "ascending": "true", "limit": str(_PAGE_SIZE)}
        page = await source.fetch_page(endpoint, url, version, first)
        seen: set[str] = set()
        while True:
            self._count(len(page.items))
            yield [orjson.loads(item) for item in page.items]
            if not page.more:
                return
            if page.more in seen:
                raise PipeError(f"{endpoint.origin} repeats a page of statements.")
            seen.add(page.more)
            more = endpoint.resolve(page.more, url)
            more = source.with_prefix(endpoint.url, more) or more
            page = await source.fetch_page(endpoint, more, version)

    def _count(self, statements: int) -> None:
        self._read += statements
        self._on_page(self._read)


class _IdSet:
    """A set of statement ids that takes 8 bytes for each; ids are added before they are sought."""

    def __init__(self) -> None:
        self._parts = [array("Q") for _ in range(_ID_PARTS)]
        self._is_sorted = False

    def add(self, statement_id: str) -> None:
        number = _short(statement_id)
        self._parts[number % _ID_PARTS].append(number)

    def __contains__(self, statement_id: str) -> bool:
        if not self._is_sorted:
            self._parts = [array("Q", sorted(part)) for part in self._parts]
            self._is_sorted = True
        number = _short(statement_id)
        part = self._parts[number % _ID_PARTS]
        index = bisect_left(part, number)
        return index < len(part) and part[index] == number


def _short(statement_id: str) -> int:
    """64 bits of an id."""
    return int.from_bytes(blake2b(UUID(statement_id).bytes, digest_size=8).digest())
