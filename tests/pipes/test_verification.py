"""`lrs pipe verify`: statements of both sides of a pipe, by day."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import date

import pytest
from click.testing import Result

from lrs.api.services import Services
from lrs.pipes.options import Basic
from lrs.pipes.verification import Tally, compare
from lrs.xapi.index_keys import VOIDED
from tests.support.forwarding import (
    add_pipe,
    forwarding,
    run_until_settled,
    store_many,
    store_statements,
)
from tests.support.partners import Partner
from tests.support.pipes import add_pipe as add_any_pipe
from tests.support.statements import new_id, statement

MONDAY, TUESDAY = "2026-05-04T12:00:00Z", "2026-05-05T01:00:00+02:00"


def test_days_are_equal_by_their_statements_in_any_order() -> None:
    items = [statement(id=new_id(), timestamp=time) for time in (MONDAY, MONDAY, TUESDAY)]
    local, remote, other = Tally(), Tally(), Tally()
    for item in items:
        local.add(item)
    for item in reversed(items):
        remote.add({**item, "stored": MONDAY, "authority": {"mbox": "mailto:other@example.com"}})
        other.add({**item, "object": {"id": "http://example.com/other"}})
    assert [(day.day, day.local, day.is_equal) for day in compare(local, remote)] == [
        (date(2026, 5, 4), 3, True)
    ]
    assert not compare(local, other)[0].is_equal


@pytest.mark.slow
async def test_verify_compares_both_sides(
    services: Services,
    partner: Partner,
    stranger: Partner,
    server: str,
    run: Callable[..., Result],
) -> None:
    monday = await store_many(partner, 3, timestamp=MONDAY)
    await store_many(partner, 2, timestamp="2026-05-06T12:00:00Z")
    await store_many(stranger, 1, timestamp=MONDAY)
    credentials = Basic(stranger.key, stranger.secret)
    pipe = await add_pipe(services, partner, f"{server}/xapi", credentials=credentials)
    await add_any_pipe(
        services.database,
        stranger.partner_id,
        name="pull",
        url=f"{server}/xapi",
        credentials=Basic(partner.key, partner.secret),
    )
    await run_until_settled(forwarding(services), pipe)

    async def verified(owner: Partner, name: str) -> tuple[int, list[dict[str, object]]]:
        command = ("pipe", "verify", owner.name, name, "--json")
        result = await asyncio.to_thread(run, *command)
        return result.exit_code, json.loads(result.stdout)

    expected = [
        {"day": "2026-05-04", "local": 3, "remote": 3, "is_equal": True},
        {"day": "2026-05-06", "local": 2, "remote": 2, "is_equal": True},
    ]
    assert await verified(partner, pipe.name) == (0, expected)
    assert await verified(stranger, "pull") == (0, expected)
    target = {"objectType": "StatementRef", "id": monday[0]}
    void = statement(id=new_id(), verb={"id": VOIDED}, object=target, timestamp=MONDAY)
    await store_statements(stranger, [void])
    code, days = await verified(partner, pipe.name)
    assert code == 1
    assert days[0] == {"day": "2026-05-04", "local": 3, "remote": 2, "is_equal": False}
    assert days[1] == expected[1]
