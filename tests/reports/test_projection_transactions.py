"""Projection: concurrency, failures, memory and round trips."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

import asyncpg
import pytest

from lrs.api.services import Services
from lrs.projection import advance, partner_lock
from lrs.projection.vocabulary import load_vocabulary
from tests.support.learning_history import COURSES, mailbox, project_all
from tests.support.partners import Partner
from tests.support.projection import lesson, rebuild, rows, tables, written
from tests.support.statements import statement


async def test_concurrent_projectors_count_each_statement_once(
    partner: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    await partner.send([lesson(number % 5) for number in range(60)])
    watermark = await services.watermark_reader.read_watermark(partner.partner_id)

    async def advance_all() -> int:
        projected = 0
        async with services.database.readers.acquire() as own:
            for _ in range(30):
                projected += await advance.advance(
                    own, partner.partner_id, load_vocabulary(), watermark, limit=5
                )
        return projected

    projected = await asyncio.gather(*(advance_all() for _ in range(3)))
    assert sum(projected) + await project_all(services, partner.partner_id) == 60
    actual = await rows(connection, partner, "learner_record")
    assert sum(row["milliseconds"] for row in actual) == 60 * 60_000


async def test_batch_is_limited_in_bytes(partner: Partner, services: Services) -> None:
    statements = [statement(result={"response": "x" * 1000}) for _ in range(5)]
    assert (await partner.send(statements)).status_code == 200
    watermark = await services.watermark_reader.read_watermark(partner.partner_id)
    position, watermarks, counts = advance.START_POSITION, [], []
    async with services.database.readers.acquire() as connection:
        for _ in range(4):
            page = await advance.read_page(
                connection, partner.partner_id, position, watermark, 100, max_bytes=2000
            )
            position = page.position
            counts.append(len(page.statements))
            watermarks.append(page.watermark)
    assert counts == [2, 2, 1, 0]
    assert watermarks == sorted(watermarks)
    assert watermarks[1] < watermark == watermarks[2]


async def test_projector_skips_a_locked_partner(partner: Partner, services: Services) -> None:
    await project_all(services, partner.partner_id)
    await partner.send(lesson(1))
    watermark = await services.watermark_reader.read_watermark(partner.partner_id)
    async with (
        services.database.readers.acquire() as holder,
        services.database.readers.acquire() as other,
        holder.transaction(),
    ):
        await partner_lock.acquire(holder, partner.partner_id)
        assert await advance.advance(other, partner.partner_id, load_vocabulary(), watermark) == 0
    assert await project_all(services, partner.partner_id) == 1


async def test_failed_batch_rolls_back_rows_and_position(
    partner: Partner,
    services: Services,
    connection: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await partner.send([lesson(number) for number in range(4)])

    async def fail(*_: object) -> None:
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(advance, "commit_position", fail)
        with pytest.raises(ConnectionError):
            await project_all(services, partner.partner_id)
    assert all(actual == [] for actual in (await tables(connection, partner)).values())
    assert await project_all(services, partner.partner_id) == 4
    assert len(await rows(connection, partner, "learning_event")) == 4


async def test_unchanged_rows_are_not_written(
    partner: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    await partner.send([lesson(1), lesson(2)])
    await project_all(services, partner.partner_id)
    names = ("learner_record", "daily_fact", "content_item", "person", "learner_group")
    before = {name: await written(connection, partner, name) for name in names}
    await partner.send({**lesson(1), "timestamp": "2020-01-01T00:00:00Z"})
    await project_all(services, partner.partner_id)
    for name in names:
        now = await written(connection, partner, name)
        remaining = [row for row in before[name] if row in now]
        changed = {"learner_record": 1, "daily_fact": 1}.get(name, 0)
        assert len(remaining) == len(before[name]) - changed, name


async def test_round_trips_do_not_depend_on_batch_size(
    partner: Partner, services: Services
) -> None:
    recorded: list[str] = []
    counts = []
    async with services.database.readers.acquire() as connection:
        for first, last in ((0, 3), (3, 6), (6, 40), (40, 140)):
            await partner.send([lesson(number) for number in range(first, last)])
            watermark = await services.watermark_reader.read_watermark(partner.partner_id)
            recorded.clear()
            with connection.query_logger(lambda record: recorded.append(record.query)):
                await advance.advance(connection, partner.partner_id, load_vocabulary(), watermark)
            counts.append(len(recorded))
    _, *counts = counts  # the driver queries types the first time
    assert len(set(counts)) == 1
    assert counts[0] <= 20


async def test_changed_days_have_increasing_times(
    partner: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    for number in (1, 2, 1):
        sent = {**lesson(number), "timestamp": f"2026-05-0{number}T10:00:00Z"}
        before = await changed_days(connection, partner)
        await partner.send(sent)
        await project_all(services, partner.partner_id)
        after = await changed_days(connection, partner)
        (changed,) = {item for item in after if after[item] != before.get(item)}
        assert changed.day == number
        assert all(after[changed] > earlier for earlier in before.values())


async def changed_days(connection: Any, partner: Partner) -> dict[Any, datetime]:
    actual = await connection.fetch(
        "select day, changed_at from changed_day where partner_id = $1", partner.partner_id
    )
    return {row["day"]: row["changed_at"] for row in actual}


async def test_content_item_with_a_new_type_marks_its_days_as_changed(
    partner: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    """Its facts move to another table."""
    await partner.send({**lesson(0), "timestamp": "2026-05-01T10:00:00Z"})
    await project_all(services, partner.partner_id)
    (before,) = (await changed_days(connection, partner)).values()
    defined = {"id": COURSES[0], "definition": {"type": "http://datacamp.com/project"}}
    group = {"objectType": "Group", "member": [mailbox("ada")]}
    await partner.send(statement(actor=group, object=defined))
    await project_all(services, partner.partner_id)
    (after,) = (await changed_days(connection, partner)).values()
    assert after > before
    await rebuild(services, partner)
    assert list((await changed_days(connection, partner)).values()) == [after]
