"""Voiding of statements."""

from __future__ import annotations

import pytest

from tests.support.partners import Partner
from tests.support.references import READ, is_voided, list_ids, reading, send, voiding
from tests.support.statements import XAPI, new_id


async def test_voided_statement_is_listed_by_voided_statement_id_only(partner: Partner) -> None:
    read, void = new_id(), new_id()
    await send(partner, reading(read))
    await send(partner, voiding(void, read))
    assert await is_voided(partner, read)
    assert await list_ids(partner) == [void]


async def test_statement_response_is_not_cached(partner: Partner) -> None:
    """With Last-Modified alone, a browser would cache an old statement heuristically."""
    statement_id = new_id()
    await send(partner, reading(statement_id))
    for path, headers in ((partner.url("statements"), {}), ("/xapi/statements", XAPI)):
        response = await partner.http.get(
            path, params={"statementId": statement_id}, headers={**partner.headers, **headers}
        )
        assert response.headers["last-modified"]
        assert response.headers["cache-control"] == "no-cache"


async def test_statement_voided_before_arrival_is_voided(partner: Partner) -> None:
    read, void = new_id(), new_id()
    await send(partner, voiding(void, read))
    assert await list_ids(partner) == [void]
    await send(partner, reading(read))
    assert await is_voided(partner, read)
    assert await list_ids(partner) == [void]


@pytest.mark.parametrize("voiding_first", [False, True])
async def test_statement_voided_in_the_same_batch_is_voided(
    partner: Partner, voiding_first: bool
) -> None:
    read, void = new_id(), new_id()
    batch = [reading(read), voiding(void, read)]
    await send(partner, *(reversed(batch) if voiding_first else batch))
    assert await is_voided(partner, read)
    assert await list_ids(partner, verb=READ) == [void]


async def test_second_voiding_changes_nothing(partner: Partner) -> None:
    read, first, second = new_id(), new_id(), new_id()
    await send(partner, reading(read))
    await send(partner, voiding(first, read))
    await send(partner, voiding(second, read))
    assert await is_voided(partner, read)
    assert await list_ids(partner, verb=READ) == [second, first]


async def test_voiding_statement_cannot_be_voided(partner: Partner) -> None:
    read, void, second = new_id(), new_id(), new_id()
    await send(partner, reading(read))
    await send(partner, voiding(void, read))
    await send(partner, voiding(second, void))
    assert await is_voided(partner, read)
    assert not await is_voided(partner, void)
    assert await list_ids(partner) == [second, void]


async def test_id_of_a_voided_statement_stays_in_use(partner: Partner) -> None:
    read = new_id()
    await send(partner, reading(read), voiding(new_id(), read))
    assert (await partner.send(reading(read))).status_code == 409
    assert await is_voided(partner, read)


async def test_voiding_by_another_partner_has_no_effect(
    partner: Partner, stranger: Partner
) -> None:
    read = new_id()
    await send(partner, reading(read))
    await send(stranger, voiding(new_id(), read))
    assert not await is_voided(partner, read)
    assert await list_ids(stranger, verb=READ) == []


async def test_voiding_by_upper_case_id_voids_the_statement(partner: Partner) -> None:
    read, void = new_id(), new_id()
    await send(partner, voiding(void, read.upper()))
    await send(partner, reading(read))
    assert await is_voided(partner, read)
    assert await list_ids(partner, verb=READ) == [void]
