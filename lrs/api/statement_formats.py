"""The formats `ids` and `canonical` of statements, within the byte limit of a page.

Large pages are parsed and formatted in a thread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import orjson

from lrs.api.services import Services
from lrs.store.statements import definitions
from lrs.xapi import formats, strict_json
from lrs.xapi.definitions import activity_ids

_MAX_BYTES_ON_EVENT_LOOP = 32_768

_MAX_ACTIVITIES = 5_000
"""Of a page: a statement of 1 MB can mention 20,000."""

Json = dict[str, Any]
Result = TypeVar("Result")


class Formatter:
    """Formats statements of a partner; texts are comma-separated.

    Only with `reads_all` the canonical format includes definitions that come from statements of
    others. Languages are ranges by preference.
    """

    def __init__(
        self, services: Services, partner_id: int, languages: Sequence[str], *, reads_all: bool
    ) -> None:
        self._services = services
        self._partner_id = partner_id
        self._languages = languages
        self._reads_all = reads_all

    async def ids(self, statements: bytes) -> bytes:
        return await self._run(_ids, statements)

    async def canonical(self, statements: bytes) -> tuple[bytes, int | None]:
        """The statements, or a limit: how many of them fit into a page.

        Definitions can make a page a thousand times as large. Their bytes are counted before a
        statement is formatted. If a single statement exceeds the limit, activities beyond it keep
        the definitions of the statement.
        """
        limits = self._services.page_loader.limits
        activities: list[list[str]] = []
        if self._reads_all:
            activities, is_whole = await self._run(_activities, statements)
            if not is_whole:
                return b"", len(activities)
        merged = await definitions.definitions(
            self._services.database,
            self._partner_id,
            dict.fromkeys(activity for ids in activities for activity in ids),
            limits.max_bytes,
        )
        for number, ids in enumerate(activities):
            if number and any(merged.get(activity, True) is None for activity in ids):
                return b"", number
        arguments = (statements, merged, self._languages, limits.max_bytes)
        if not merged:
            return await self._run(_canonical, *arguments)
        # Definitions make the text of a small statement as large as a page.
        return await self._services.thread.run(self._partner_id, _canonical, *arguments)

    async def _run(
        self, function: Callable[..., Result], statements: bytes, *arguments: object
    ) -> Result:
        if len(statements) <= _MAX_BYTES_ON_EVENT_LOOP:
            return function(statements, *arguments)
        return await self._services.thread.run(self._partner_id, function, statements, *arguments)


def parse(statements: bytes) -> list[Json]:
    """The statements, whose numbers keep their digits."""
    parsed: list[Json] = strict_json.loads_exact(b"[%b]" % statements)
    return parsed


def _ids(statements: bytes) -> bytes:
    return b",".join(
        strict_json.dumps_exact(formats.ids(statement)) for statement in parse(statements)
    )


def _activities(statements: bytes) -> tuple[list[list[str]], bool]:
    """The ids of the activities of the first statements, and whether these are all.

    They have at most 5,000 activities together; of a single statement, the first 5,000.
    """
    parsed = parse(statements)
    activities: list[list[str]] = []
    count = 0
    for statement in parsed:
        ids = list(dict.fromkeys(activity_ids(statement)))[:_MAX_ACTIVITIES]
        count += len(ids)
        if count > _MAX_ACTIVITIES:
            break
        activities.append(ids)
    return activities, len(activities) == len(parsed)


def _canonical(
    statements: bytes, merged: Mapping[str, Json | None], languages: Sequence[str], max_bytes: int
) -> tuple[bytes, int | None]:
    shared = {
        activity: strict_json.dumps_exact(formats.localized(definition, languages))
        for activity, definition in merged.items()
        if definition
    }
    texts: list[bytes] = []
    size = 0
    for statement in parse(statements):
        added = sum(len(shared.get(activity, b"")) for activity in activity_ids(statement))
        if texts and size + added > max_bytes:
            return b"", len(texts)
        within = _Within(shared, max_bytes - size)
        text = strict_json.dumps_exact(formats.canonical(statement, within, languages))
        size += len(text)
        if texts and size > max_bytes:
            return b"", len(texts)
        texts.append(text)
    return b",".join(texts), None


class _Within:
    """Definitions as JSON texts, up to a number of bytes in sum."""

    def __init__(self, texts: Mapping[str, bytes], max_bytes: int) -> None:
        self._texts = texts
        self._left = max_bytes

    def get(self, activity: str) -> orjson.Fragment | None:
        text = self._texts.get(activity)
        if text is None or len(text) > self._left:
            return None
        self._left -= len(text)
        return orjson.Fragment(text)
