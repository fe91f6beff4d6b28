"""Group commit: requests that share a transaction do not affect each other."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from collections import Counter
from collections.abc import Sequence
from typing import Any

import asyncpg
import httpx
import msgspec
import orjson
import pytest

from lrs.api.services import Services
from lrs.errors import Overloaded
from lrs.ingest.group_commit import GroupCommit
from lrs.ingest.model import IngestContext, ParsedItem
from lrs.ingest.parse import StatementParser
from lrs.ingest.pipeline import IngestPipeline
from lrs.ingest.submission import Submission, SubmissionResults
from lrs.ingest.write import Writer
from lrs.pacing import Pacing
from lrs.store.statements import insert
from tests.support.limits import unlimited_quotas
from tests.support.partners import Partner
from tests.support.statements import XAPI, new_id, prepared, statement
from tests.support.store import defining_statements, plain_statements


async def test_refused_batch_in_a_shared_transaction_stores_nothing(
    partner: Partner, services: Services
) -> None:
    """Valid batches, single statements and conflicting batches are sent concurrently."""
    (taken,) = plain_statements(1)
    assert (await partner.xapi(taken)).status_code == 200
    conflict = {**taken, "verb": {"id": "http://example.com/verbs/another"}}
    good = [plain_statements(5) for _ in range(20)]
    bad = [[*plain_statements(2), conflict, *plain_statements(2)] for _ in range(20)]
    single = [plain_statements(1) for _ in range(10)]
    mixed = [item for some in zip(good, bad, strict=True) for item in some] + single
    async with asyncio.timeout(30):
        answers = await asyncio.gather(*map(partner.xapi, mixed))
    assert [answer.status_code for answer in answers] == [200, 409] * 20 + [200] * 10
    expected = {item["id"] for batch in [*good, *single] for item in batch} | {taken["id"]}
    assert {item["id"] for item in await partner.all()} == expected


async def test_refused_batch_does_not_refuse_a_conflicting_batch(partner: Partner) -> None:
    """One of two contradicting batches is stored, rather than neither."""
    (taken,) = plain_statements(1)
    assert (await partner.xapi(taken)).status_code == 200
    for _ in range(10):
        (shared,) = plain_statements(1)
        other = {**shared, "verb": {"id": "http://example.com/verbs/another"}}
        conflict = {**taken, "verb": {"id": "http://example.com/verbs/another"}}
        # the first is refused for another reason, so it must not refuse the second
        batches = [plain_statements(2), [shared, conflict], [other, *plain_statements(1)]]
        async with asyncio.timeout(30):
            answers = await asyncio.gather(*map(partner.xapi, batches))
        assert [answer.status_code for answer in answers] == [200, 409, 200]


async def test_concurrent_duplicates_of_a_batch_are_deduplicated(partner: Partner) -> None:
    batch = plain_statements(10)
    answers = await asyncio.gather(
        *(partner.send(batch[:: 1 if number % 2 else -1]) for number in range(12))
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 11
    assert len(await partner.all()) == 10


async def test_overlapping_batches_are_deduplicated(partner: Partner) -> None:
    """Each statement is reported as stored exactly once."""
    existing = plain_statements(60)
    batches = [existing[start : start + 20][::-1] for start in range(0, 45, 5)] * 2
    answers = await asyncio.gather(*map(partner.send, batches))
    reported: Counter[str] = Counter()
    for batch, answer in zip(batches, answers, strict=True):
        if answer.status_code == 200:
            reported.update(item["id"] for item in batch)
        else:
            results = answer.json()["results"]
            reported.update(item["id"] for item in results if item["outcome"] == "stored")
    assert reported == Counter(item["id"] for item in existing)


@pytest.mark.parametrize("interface", ["xapi", "partner"])
async def test_statement_committed_by_another_writer_meanwhile_is_a_duplicate(
    partner: Partner, slow_writer: asyncpg.Connection, interface: str
) -> None:
    """Another writer inserts one statement of the batch, and commits while the batch waits."""
    batch = defining_statements(3)
    sent = partner.xapi if interface == "xapi" else partner.send
    async with slow_writer.transaction():
        await insert.insert_new(slow_writer, partner.partner_id, [prepared(batch[1])])
        waiting = asyncio.create_task(sent(batch))
        await asyncio.sleep(0.1)
        assert not waiting.done()
    assert (await waiting).status_code == (409 if interface == "xapi" else 207)
    left = {batch[1]["id"]} if interface == "xapi" else {item["id"] for item in batch}
    assert {item["id"] for item in await partner.all()} == left
    names = [item["actor"]["name"] for item in (batch[0], batch[2])]
    agent = orjson.dumps({"mbox": "mailto:ann@example.com"}).decode()
    person = (
        await partner.http.get(
            "/xapi/agents", params={"agent": agent}, headers={**XAPI, **partner.headers}
        )
    ).json()
    assert set(person.get("name", [])) == (set() if interface == "xapi" else set(names))


async def test_disconnected_client_does_not_affect_the_group(partner: Partner) -> None:
    sent = [plain_statements(3) for _ in range(30)]
    tasks = [asyncio.create_task(partner.send(batch)) for batch in sent]
    await asyncio.sleep(0.005)
    for task in tasks[::3]:
        task.cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    stored = {item["id"] for item in await partner.all()}
    for number, (batch, answer) in enumerate(zip(sent, answers, strict=True)):
        ids = {item["id"] for item in batch}
        assert ids <= stored or not ids & stored
        if number % 3:
            assert isinstance(answer, httpx.Response)
            assert answer.status_code == 200
            assert ids <= stored


async def test_failed_item_does_not_block_the_group(partner: Partner, services: Services) -> None:
    """An item that PostgreSQL rejects fails alone, also in a group split for a conflict."""
    commits = GroupCommit(services.database, transactions_per_partner=1)
    taken = prepared(statement(id=new_id()))
    await commits.submit(partner.partner_id, [taken], atomic=True)
    poison = msgspec.structs.replace(prepared(statement(id=new_id())), organization="\0")
    conflict = [prepared(statement(id=new_id())), msgspec.structs.replace(taken, digest=b"another")]
    submitted = [
        [prepared(statement(id=new_id()))],
        [poison],
        conflict,
        [prepared(statement(id=new_id()))],
    ]
    blocker = asyncio.create_task(
        commits.submit(partner.partner_id, [prepared(statement(id=new_id()))], atomic=True)
    )
    async with asyncio.timeout(10):
        results = await asyncio.gather(
            *(commits.submit(partner.partner_id, item, atomic=True) for item in submitted),
            return_exceptions=True,
        )
        await blocker
        await commits.drain()
    assert results[0] == [None]
    assert isinstance(results[1], Exception)
    assert isinstance(results[2], list)
    assert results[2][1] is not None
    assert results[3] == [None]


async def test_full_queue_returns_503_and_stores_nothing(
    partner: Partner, services: Services
) -> None:
    commits = GroupCommit(services.database, queue_limit=5, transactions_per_partner=1)
    batches = [[prepared(statement(id=new_id())) for _ in range(2)] for _ in range(20)]
    results = await asyncio.gather(
        *(commits.submit(partner.partner_id, batch, atomic=False) for batch in batches),
        return_exceptions=True,
    )
    stored = {item["id"] for item in await partner.all()}
    refused = [
        batch
        for batch, result in zip(batches, results, strict=True)
        if isinstance(result, Overloaded)
    ]
    assert refused
    assert stored.isdisjoint(item.statement_id for batch in refused for item in batch)
    assert len(stored) == 2 * (len(batches) - len(refused))


async def test_batch_waits_only_while_commits_make_progress(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on = asyncio.Event()

    async def write(
        self: Writer, connection: Any, partner_id: int, group: Sequence[Submission]
    ) -> SubmissionResults:
        await goes_on.wait()
        return {item: [None] for item in group}

    monkeypatch.setattr(Writer, "write", write)
    commits = GroupCommit(
        services.database, queue_limit=4, transactions_per_partner=1, capacity_timeout=0.1
    )
    under_way = []
    for _ in range(4):
        one = [prepared(statement(id=new_id()))]
        under_way.append(asyncio.create_task(commits.submit(1, one, atomic=False)))
        for _ in range(5):  # a group waits for some iterations of the event loop
            await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await commits.wait_for_capacity(1, time.monotonic())
    goes_on.set()
    await commits.wait_for_capacity(1, time.monotonic())
    assert await asyncio.gather(*under_way) == [[None]] * 4


async def test_partner_that_has_to_rest_commits_small_groups_after_others(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its next transaction does not begin before the light partner's, and is shorter."""
    written: list[tuple[int, int]] = []

    async def write(
        self: Writer, connection: Any, partner_id: int, group: Sequence[Submission]
    ) -> SubmissionResults:
        written.append((partner_id, sum(len(item.rows) for item in group)))
        return {item: [None] * len(item.rows) for item in group}

    monkeypatch.setattr(Writer, "write", write)
    heavy, light = 1, 2
    pacing = Pacing()
    pacing.seen(light)
    pacing.charge(heavy, 0.4)
    commits = GroupCommit(services.database, pacing=pacing)
    batches = [[prepared(statement(id=new_id())) for _ in range(40)] for _ in range(5)]
    submitted = [
        asyncio.create_task(commits.submit(heavy, batch, atomic=False)) for batch in batches
    ]
    await asyncio.sleep(0)
    await commits.submit(light, [prepared(statement(id=new_id()))], atomic=False)
    await asyncio.gather(*submitted)
    assert written[0] == (light, 1)
    assert written[1] == (heavy, 80)
    assert sum(size for _, size in written) == 201


@pytest.mark.slow
async def test_one_statement_of_many_activities_is_heavy_work(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def write(
        self: Writer, connection: Any, partner_id: int, group: Sequence[Submission]
    ) -> SubmissionResults:
        await asyncio.sleep(0.4)
        return {item: [None] for item in group}

    monkeypatch.setattr(Writer, "write", write)
    others = [{"id": f"http://example.com/{number}"} for number in range(200)]
    wide = prepared(statement(id=new_id(), context={"contextActivities": {"other": others}}))
    plain = prepared(statement(id=new_id()))
    for row, is_heavy in ((plain, False), (wide, True)):
        pacing = Pacing()
        commits = GroupCommit(services.database, pacing=pacing)
        await commits.submit(1, [row], atomic=False)
        await commits.drain()
        pacing.seen(2)
        assert pacing.must_rest(1) == is_heavy


async def test_large_batches_of_one_partner_leave_room_in_the_queue(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes, goes_on = asyncio.Event(), asyncio.Event()

    async def write(
        self: Writer, connection: Any, partner_id: int, group: Sequence[Submission]
    ) -> SubmissionResults:
        writes.set()
        await goes_on.wait()
        return {item: [None] * len(item.rows) for item in group}

    monkeypatch.setattr(Writer, "write", write)
    commits = GroupCommit(
        services.database, queue_limit=40, transactions_per_partner=1, capacity_timeout=0.1
    )
    under_way = []
    for _ in range(4):  # the first one is in a transaction before the others are queued
        batch = [prepared(statement(id=new_id())) for _ in range(10)]
        under_way.append(asyncio.create_task(commits.submit(1, batch, atomic=False)))
        await writes.wait()
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await commits.wait_for_capacity(1, time.monotonic())
    with pytest.raises(Overloaded):
        await commits.submit(1, [prepared(statement(id=new_id()))], atomic=False)
    await commits.wait_for_capacity(2, time.monotonic())
    other = asyncio.create_task(commits.submit(2, [prepared(statement(id=new_id()))], atomic=False))
    goes_on.set()
    assert await other == [None]
    await asyncio.gather(*under_way)


async def test_large_item_is_prepared_outside_the_event_loop(
    partner: Partner, services: Services
) -> None:
    """The validation of a statement of 1 MB takes a few tenths of a second."""
    threads: list[int] = []

    def parse(item: bytes, context: IngestContext) -> ParsedItem:
        threads.append(threading.get_ident())
        return parser(item, context)

    parser = StatementParser(100_000)
    context = IngestContext(
        partner.partner_id, partner.name, partner.home_page, None, "{}", 0, False, "1.0.3"
    )
    small = orjson.dumps(statement())
    large = orjson.dumps(statement(result={"response": "x" * 40_000}))
    outcomes = await services.pipeline.submit([small, large], context, parse, dry_run=True)
    assert [outcome.kind for outcome in outcomes] == ["stored", "stored"]
    event_loop_thread = threading.get_ident()
    assert [thread == event_loop_thread for thread in threads] == [True, False]


@pytest.mark.parametrize(("size", "is_charged"), [(10, False), (11, True)])
async def test_preparation_of_a_batch_is_charged_to_its_partner(
    partner: Partner, services: Services, size: int, is_charged: bool
) -> None:
    """Also if it takes less than a time slice: batch after batch adds up."""
    charged: list[int] = []

    class RecordedPacing(Pacing):
        def charge(self, partner_id: int, seconds: float) -> None:
            charged.append(partner_id)

    pipeline = IngestPipeline(
        services.database,
        GroupCommit(services.database),
        unlimited_quotas(),
        pacing=RecordedPacing(),
    )
    context = IngestContext(
        partner.partner_id, partner.name, partner.home_page, None, "{}", 0, False, "1.0.3"
    )
    await pipeline.submit([b"1"] * size, context, StatementParser(500))
    assert set(charged) == ({partner.partner_id} if is_charged else set())


@pytest.mark.parametrize(
    "item", [b"{", b"{}", b'{"actor":"%b"}' % (b"x" * 1000), b'["%b"]' % (b"x" * 40_000)]
)
async def test_memory_of_a_refused_item_is_freed_without_the_garbage_collector(
    partner: Partner, services: Services, item: bytes
) -> None:
    """Also of a large item, which is prepared in a thread."""
    context = IngestContext(
        partner.partner_id, partner.name, partner.home_page, None, "{}", 0, False, "1.0.3"
    )
    parser = StatementParser(500)
    gc.disable()
    try:
        (outcome,) = await services.pipeline.submit([item], context, parser)
        assert outcome.problem
        problem = weakref.ref(outcome.problem)
        del outcome
        await asyncio.sleep(0.01)
        assert problem() is None
    finally:
        gc.enable()
