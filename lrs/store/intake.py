"""Items that arrived, by hour, and how far statements are counted.

Stored items are counted from the statements, in the transaction that commits the position: so their
counts agree with the statements whatever happens to a server. Other outcomes are counted by the
workers that returned them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import NamedTuple

from asyncpg import Record
from asyncpg.pool import PoolConnectionProxy

from lrs import resources
from lrs.store.postgres import Connection, Database, retry_transaction, translate_errors
from lrs.store.statements import sequence
from lrs.store.statements.partner_keys import key_salt
from lrs.xapi import canvas_launches
from lrs.xapi.authorities import account_authority, authority_of

SOURCES = {"statements": 1, "track": 2, "xapi": 3, "canvas": 4, "pull": 5, "forward": 6}
"""The code of each source in the column `statement.source`."""

_SOURCE_NAMES = {code: name for name, code in SOURCES.items()}
UNKNOWN_SOURCE = "unknown"
"""Of statements that were stored before their source was."""

STORED = "stored"


class IntakeKey(NamedTuple):
    """What counts are grouped by. `hour` is a UTC hour; the texts are empty if they do not apply.

    The order of keys is that of the primary key.
    """

    partner_id: int
    hour: datetime
    source: str
    credential: str
    organization: str
    outcome: str
    code: str = ""
    pointer: str = ""


@dataclass(frozen=True, slots=True)
class IntakeCount:
    """The items of one key, their size, and when the last one arrived."""

    key: IntakeKey
    items: int
    bytes: int
    last_at: datetime


@dataclass(frozen=True, slots=True)
class HourNames:
    """What one hour of a partner has already: reasons (code and pointer), organizations, rows."""

    reasons: frozenset[str] = frozenset()
    organizations: frozenset[str] = frozenset()
    rows: int = 0


Names = Mapping[tuple[int, datetime], HourNames]
Limit = Callable[[Sequence[IntakeCount], Names], Sequence[IntakeCount]]
"""Replaces reasons and organizations beyond the limits of an hour; keys stay distinct."""


async def add_counts(database: Database, counts: Sequence[IntakeCount], limit: Limit) -> None:
    """Adds the counts of any partners in one transaction. Raises Unavailable."""

    async def attempt() -> None:
        async with database.readers.acquire() as connection, connection.transaction():
            partner_ids = sorted({count.key.partner_id for count in counts})
            await connection.execute(resources.query("insert_intake_positions"), partner_ids)
            await connection.execute(resources.query("lock_intake_positions"), partner_ids)
            await _add(connection, counts, limit)

    with translate_errors():
        await retry_transaction(attempt)


async def _add(connection: Connection, counts: Sequence[IntakeCount], limit: Limit) -> None:
    """Adds counts; the caller holds the locks of their partners."""
    hours = sorted({(count.key.partner_id, count.key.hour) for count in counts})
    rows = await connection.fetch(
        resources.query("list_intake_names"),
        [partner_id for partner_id, _ in hours],
        [hour for _, hour in hours],
    )
    names = {
        (row["partner_id"], row["hour"]): HourNames(
            frozenset(row["reasons"]), frozenset(row["organizations"]), row["row_count"]
        )
        for row in rows
    }
    limited = sorted(limit(counts, names), key=lambda count: count.key)
    columns = list(zip(*(count.key for count in limited), strict=True))
    await connection.execute(
        resources.query("add_intake_counts"),
        *columns,
        [count.items for count in limited],
        [count.bytes for count in limited],
        [count.last_at for count in limited],
    )


async def list_uncounted(database: Database) -> list[int]:
    """The partners with statements that are not counted yet. Raises Unavailable."""
    with translate_errors():
        rows = await database.readers.fetch(resources.query("list_uncounted_partners"))
    return [row["partner_id"] for row in rows]


async def count_statements(
    database: Database,
    partner_id: int,
    watermark: datetime,
    names: dict[int, str],
    limit: Limit,
    *,
    page_size: int,
) -> int:
    """Counts the next statements of a partner up to the watermark, and moves the position.

    `names` is a cache of the names of credentials and tools by authority key. Returns the number of
    statements, 0 if there are none or another server counts them. Raises Unavailable.
    """

    async def attempt() -> int:
        async with database.readers.acquire() as connection, connection.transaction():
            return await _count_page(connection, partner_id, watermark, names, limit, page_size)

    with translate_errors():
        await database.readers.execute(resources.query("insert_intake_positions"), [partner_id])
        return await retry_transaction(attempt)


async def _count_page(
    connection: PoolConnectionProxy[Record],
    partner_id: int,
    watermark: datetime,
    names: dict[int, str],
    limit: Limit,
    page_size: int,
) -> int:
    position = await connection.fetchval(resources.query("try_lock_intake_position"), partner_id)
    if position is None:
        return 0
    end = sequence.first_after(watermark)
    salt = key_salt(partner_id)
    rows = await connection.fetch(
        resources.query("count_statements"), partner_id, position, end, page_size, salt
    )
    if not rows:
        return 0
    if any(row["authority_key"] not in names for row in rows):
        names |= await load_names(connection, partner_id)
    await _add(connection, merged(_stored_count(partner_id, row, names) for row in rows), limit)
    last = max(row["last"] for row in rows)
    await connection.execute(resources.query("set_intake_position"), partner_id, last)
    return sum(row["items"] for row in rows)


async def load_names(connection: Connection, partner_id: int) -> dict[int, str]:
    """The names of credentials and tools by the key of the authority of their statements."""
    rows = await connection.fetch(resources.query("list_authorities"), partner_id)
    return {authority_key(**row): subject_name(row["name"], row["is_tool"]) for row in rows}


def authority_key(home_page: str, name: str, is_tool: bool) -> int:
    """The unsalted index key of the authority of a credential or tool."""
    if is_tool:
        return authority_of(canvas_launches.authority(home_page, name)).key
    return account_authority(home_page, name).key


def subject_name(name: str, is_tool: bool) -> str:
    """The name of a credential or tool in the ledger, which is also that of its limits."""
    return f"tool {name}" if is_tool else name


def _stored_count(partner_id: int, row: Record, names: Mapping[int, str]) -> IntakeCount:
    key = IntakeKey(
        partner_id,
        datetime.fromtimestamp(row["hour"] * 3600, UTC),
        source_name(row["source"]),
        names.get(row["authority_key"], ""),
        row["organization"],
        STORED,
    )
    return IntakeCount(key, row["items"], row["bytes"], sequence.stored_at(row["last"]))


def source_name(code: int | None) -> str:
    return _SOURCE_NAMES.get(code or 0, UNKNOWN_SOURCE)


def merged(counts: Iterable[IntakeCount]) -> list[IntakeCount]:
    """The sums of counts with the same key."""
    sums: dict[IntakeKey, IntakeCount] = {}
    for count in counts:
        if (previous := sums.get(count.key)) is not None:
            count = replace(
                count,
                items=count.items + previous.items,
                bytes=count.bytes + previous.bytes,
                last_at=max(count.last_at, previous.last_at),
            )
        sums[count.key] = count
    return list(sums.values())


async def delete_old_counts(database: Database, before: datetime, limit: int) -> None:
    """Deletes up to `limit` counts of items that were not stored."""
    with translate_errors():
        await database.readers.execute(resources.query("delete_old_intake_counts"), before, limit)


@dataclass(frozen=True, slots=True)
class CredentialUse:
    """When a credential or tool was last used, and an item of it last refused."""

    partner_id: int
    credential: str
    last_used_at: datetime | None
    last_refused_at: datetime | None


async def write_uses(database: Database, uses: Sequence[CredentialUse]) -> None:
    """Raises Unavailable."""
    with translate_errors():
        await database.readers.execute(
            resources.query("upsert_credential_uses"),
            [use.partner_id for use in uses],
            [use.credential for use in uses],
            [use.last_used_at for use in uses],
            [use.last_refused_at for use in uses],
        )


async def list_uses(database: Database, partner_id: int) -> dict[str, CredentialUse]:
    """By name of the credential or tool. Raises Unavailable."""
    with translate_errors():
        rows = await database.readers.fetch(resources.query("list_credential_uses"), partner_id)
    return {row["credential"]: CredentialUse(partner_id, **row) for row in rows}


async def last_stored(database: Database, partner_id: int, authority_key: int) -> datetime | None:
    """When a statement of this authority was last stored."""
    with translate_errors():
        stored: datetime | None = await database.readers.fetchval(
            resources.query("get_last_statement_of_authority"),
            authority_key ^ key_salt(partner_id),
        )
    return stored


async def list_organizations(database: Database, partner_id: int, limit: int) -> list[str]:
    """Names in order."""
    with translate_errors():
        rows = await database.readers.fetch(
            resources.query("list_organizations_of_partner"), partner_id, limit
        )
    return [row["name"] for row in rows]
