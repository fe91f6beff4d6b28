"""Refused items: what is kept of them, for how long, and how many."""

from __future__ import annotations

import json
import time

import asyncpg
import orjson
import pytest

from lrs.api.services import Services
from lrs.errors import InvalidStatement, Unavailable, Violation
from lrs.ledger import refusals
from lrs.ledger.refusals import (
    MAX_PER_SECOND,
    MAX_REASONS_PER_SECOND,
    Origin,
    RefusalBuffer,
)
from lrs.ledger.worker import Ledger
from lrs.store import refusals as store
from lrs.store import registry
from lrs.store.partner_settings import PartnerSettings
from lrs.store.registry import LimitOverrides
from tests.support.ledger import kept, outcomes
from tests.support.partners import Partner
from tests.support.statements import XAPI, new_id, statement

ORIGIN = Origin(1, "statements", "key", "", None)
ERROR = InvalidStatement("wrong", violations=[Violation("/verb", "is wrong", "Data 2.4.3")])


def add(buffer: RefusalBuffer, pointer: str = "/verb", at: float = 1e9, size: int = 10) -> None:
    buffer.add(
        ORIGIN, "invalid", ERROR, ("invalid-statement", pointer), b"x" * size,
        size=size, index=0, statement_id=None, request_id="r", at=at,
    )  # fmt: skip


async def test_refused_item_is_kept_with_all_its_errors(
    services: Services, partner: Partner
) -> None:
    sent = {**statement(id=new_id()), "verb": 1, "actor": {}}
    response = await partner.send(
        [statement(), sent], organization="north", headers={"X-Request-ID": "request-1"}
    )
    (refusal,) = await kept(services, partner)
    assert json.loads(refusal.problem) == response.json()["results"][1]["problem"]
    assert len(json.loads(refusal.problem)["errors"]) > 1
    assert refusal.item is not None
    assert json.loads(refusal.item) == sent
    assert refusal.is_complete
    assert (refusal.statement_id, refusal.item_index) == (sent["id"], 1)
    assert (refusal.credential, refusal.organization) == (partner.key, "north")
    assert (refusal.source, refusal.outcome, refusal.code) == (
        "statements",
        "invalid",
        "invalid-statement",
    )
    assert refusal.request_id == "request-1"


async def test_refusal_of_a_put_keeps_the_requested_id(
    services: Services, partner: Partner
) -> None:
    statement_id = new_id()
    await partner.http.put(
        "/xapi/statements",
        params={"statementId": statement_id},
        json={**statement(), "verb": 1},
        headers=XAPI,
        auth=(partner.key, partner.secret),
    )
    (refusal,) = await kept(services, partner)
    assert (refusal.source, refusal.requested_id) == ("xapi", statement_id)
    assert refusal.version == "1.0.3"


async def test_item_beyond_a_quota_is_kept(services: Services, partner: Partner) -> None:
    limits = LimitOverrides(max_statements_per_day=1)
    await registry.set_partner_limits(services.database, partner.name, limits)
    services.authenticator._caller_cache.clear()
    assert (await partner.send([statement(), statement()])).status_code == 429
    assert [refusal.code for refusal in await kept(services, partner)] == ["quota-exceeded"] * 2
    assert await outcomes(services, partner) == {"limited": 2}


async def test_duplicates_are_not_kept(services: Services, partner: Partner) -> None:
    sent = statement(id=new_id())
    await partner.send(sent)
    await partner.send(sent)
    assert await kept(services, partner) == []


async def test_large_item_is_kept_in_part(services: Services, partner: Partner) -> None:
    await partner.send(statement(id=new_id(), context={"statement": "x" * 20_000}))
    (refusal,) = await kept(services, partner)
    assert refusal.item is not None
    assert (len(refusal.item), refusal.outcome) == (16_384, "too_large")
    assert refusal.item_bytes > 20_000
    assert not refusal.is_complete


async def test_partner_setting_switches_contents_off(services: Services, partner: Partner) -> None:
    settings = PartnerSettings(keep_refused_items=False)
    await registry.set_partner_settings(services.database, partner.name, settings)
    services.authenticator._caller_cache.clear()
    await partner.send({**statement(), "verb": 1})
    (refusal,) = await kept(services, partner)
    assert refusal.item is None
    assert refusal.item_bytes > 0
    assert "/verb" in refusal.problem


def test_setting_switches_contents_off() -> None:
    buffer = RefusalBuffer(max_item_bytes=0)
    add(buffer)
    ((refusal,),) = buffer.take().values()
    assert refusal.item is None


async def test_no_refusal_is_kept_with_a_limit_of_zero(
    services: Services, partner: Partner
) -> None:
    ledger = Ledger(services.database, services.watermark_reader, max_refusals=0)
    ledger.refuse(ORIGIN._replace(partner_id=partner.partner_id), "invalid", ERROR, b"1")
    await ledger.write()
    assert await kept(services, partner) == []
    assert await outcomes(services, partner) == {"invalid": 1}


async def test_nul_in_an_item_is_kept(services: Services, partner: Partner) -> None:
    sent = b'{"a\\u0000b":"\\u0000"}'
    await partner.send(sent)
    (refusal,) = await kept(services, partner)
    assert refusal.item == sent


def test_hundred_refusals_of_a_partner_are_kept_in_a_second() -> None:
    buffer = RefusalBuffer(16_384)
    for _ in range(150):
        add(buffer)
    for _ in range(10):
        add(buffer, at=1e9 + 1)
    assert len(buffer.take()[1]) == MAX_PER_SECOND + 10


def test_beyond_hundred_refusals_the_first_of_each_reason_is_kept() -> None:
    buffer = RefusalBuffer(16_384)
    for _ in range(MAX_PER_SECOND):
        add(buffer)
    for _ in range(2):
        for number in range(2 * MAX_REASONS_PER_SECOND):
            add(buffer, f"/{number}")
    taken = buffer.take()[1]
    assert len(taken) == MAX_PER_SECOND + MAX_REASONS_PER_SECOND - 1
    assert len({item.pointer for item in taken}) == MAX_REASONS_PER_SECOND


def test_buffer_of_a_partner_is_bounded() -> None:
    buffer = RefusalBuffer(1_048_576)
    for number in range(200):
        add(buffer, at=1e9 + number, size=1_048_576)
    taken = buffer.take()[1]
    assert sum(len(item.item or b"") for item in taken) <= 8_388_608
    for number in range(5000):
        add(buffer, at=1e9 + number)
    assert len(buffer.take()[1]) == 2000


def test_flood_of_some_partners_leaves_room_for_others() -> None:
    buffer = RefusalBuffer(1_048_576)
    for partner_id in range(1, 10):
        origin = ORIGIN._replace(partner_id=partner_id)
        for number in range(10):
            buffer.add(
                origin, "invalid", ERROR, ("invalid-statement", f"/{number}"), b"x" * 1_048_576,
                size=1_048_576, index=0, statement_id=None, request_id="r", at=1e9,
            )  # fmt: skip
    buffer.add(
        ORIGIN._replace(partner_id=99), "invalid", ERROR, ("invalid-statement", ""), b"x" * 16_384,
        size=16_384, index=0, statement_id=None, request_id="r", at=1e9,
    )  # fmt: skip
    taken = buffer.take()
    assert len(taken[99]) == 1
    assert sum(len(item.item or b"") for items in taken.values() for item in items) < 70_000_000


def test_ids_follow_time() -> None:
    moments = [1e9 + number / 1000 for number in range(100)]
    ids = [refusals.new_id(at) for at in moments]
    assert ids == sorted(ids)
    assert {item.version for item in ids} == {7}
    assert refusals.lowest_id(moments[50]) <= ids[50]
    assert refusals.lowest_id(moments[50]) > ids[49]


@pytest.mark.parametrize(
    ("numbers", "limit", "expected"),
    [
        ({"a": 5}, 10, {}),
        ({"a": 15}, 10, {"a": 5}),
        ({"a": 100, "b": 3}, 10, {"a": 93}),
        ({"a": 100, "b": 50, "c": 2}, 12, {"a": 95, "b": 45}),
        ({"a": 1, "b": 1}, 0, {"a": 1, "b": 1}),
    ],
)
def test_most_frequent_reasons_are_cut_first(
    numbers: dict[str, int], limit: int, expected: dict[str, int]
) -> None:
    excess = refusals.excess_by_reason({(code, ""): n for code, n in numbers.items()}, limit)
    assert {code: count for (code, _), count in excess.items()} == expected


async def test_refusals_beyond_the_limit_of_a_partner_are_removed(
    services: Services, partner: Partner, stranger: Partner
) -> None:
    ledger = Ledger(services.database, services.watermark_reader, max_refusals=5)
    for owner, pointer, count in ((partner, "/a", 20), (partner, "/b", 2), (stranger, "/a", 5)):
        origin = ORIGIN._replace(partner_id=owner.partner_id)
        error = InvalidStatement("wrong", violations=[Violation(pointer, "is wrong", "x")])
        for number in range(count):
            ledger.refuse(origin, "invalid", error, b"%d" % number)
    await ledger.write()
    remaining = await kept(services, partner)
    assert sorted(item.pointer for item in remaining) == ["/a", "/a", "/a", "/b", "/b"]
    assert {item.item for item in remaining if item.pointer == "/a"} == {b"17", b"18", b"19"}
    assert len(await kept(services, stranger)) == 5
    assert (await outcomes(services, partner)) == {"invalid": 22}


async def test_refusals_that_the_database_rejects_do_not_hold_up_others(
    services: Services, partner: Partner, stranger: Partner
) -> None:
    ledger = Ledger(services.database, services.watermark_reader)
    broken = ORIGIN._replace(partner_id=partner.partner_id, organization="\0")
    ledger._refusals.add(
        broken, "invalid", ERROR, ("invalid-statement", ""), b"1",
        size=1, index=0, statement_id=None, request_id="r", at=1e9,
    )  # fmt: skip
    ledger.refuse(ORIGIN._replace(partner_id=stranger.partner_id), "invalid", ERROR, b"2")
    await ledger.write()
    assert await kept(services, partner) == []
    assert len(await kept(services, stranger)) == 1


async def test_refusals_of_an_outage_are_written_later(
    services: Services, partner: Partner, stranger: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(services.database, services.watermark_reader)
    for owner in (partner, stranger):
        ledger.refuse(ORIGIN._replace(partner_id=owner.partner_id), "invalid", ERROR, b"1")

    async def unavailable(*_: object) -> None:
        raise Unavailable("The database does not answer.")

    with monkeypatch.context() as patched:
        patched.setattr(store, "remove_excess", unavailable)
        await ledger.write()
    await ledger.write()
    assert len(await kept(services, partner)) == len(await kept(services, stranger)) == 1


async def test_old_refusals_are_removed(
    services: Services, partner: Partner, connection: asyncpg.Connection
) -> None:
    await partner.send([1, 2])
    first, second = await kept(services, partner)
    old = refusals.new_id(time.time() - 700_000)
    await connection.execute(
        "update refusal set refusal_id = $1 where refusal_id = $2", old, first.refusal_id
    )
    await services.ledger.remove_expired()
    assert [item.refusal_id for item in await kept(services, partner)] == [second.refusal_id]


def test_problem_with_many_violations_is_bounded() -> None:
    violations = [Violation("/x" * 500, "y" * 500, "z") for _ in range(1000)]
    text = refusals.problem_text(InvalidStatement("wrong", violations=violations))
    assert len(text) < 65_536
    problem = orjson.loads(text)
    assert problem["omitted_errors"] + len(problem["errors"]) == 1000
