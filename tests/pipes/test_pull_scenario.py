"""A history with voids, signatures, attachments and conflicts, pulled from this server itself."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from lrs.api.services import Services
from lrs.pipes.engine import Engine
from lrs.pipes.options import Basic
from lrs.store import refusals
from lrs.store.refusals import RefusalFilter
from lrs.xapi.index_keys import VOIDED
from tests.support import signatures
from tests.support.attachments import attachment_of, statement_with, stored
from tests.support.forwarding import store_many, store_statements
from tests.support.partners import Partner
from tests.support.pipes import add_pipe, run_until_waiting
from tests.support.statements import new_id, statement

pytestmark = pytest.mark.slow

STATEMENTS = int(os.environ.get("LRS_TEST_STATEMENTS", "200"))
PAGE = 50
VOIDS, SIGNED, ATTACHED, CONFLICTS = 5, 4, 8, 3


def _void(statement_id: str) -> dict[str, Any]:
    target = {"objectType": "StatementRef", "id": statement_id}
    return statement(id=new_id(), verb={"id": VOIDED}, object=target)


async def _add_history(source: Partner) -> list[str]:
    """Stores the history at the source; returns the ids of its plain statements."""
    ids = await store_many(source, STATEMENTS - VOIDS - SIGNED - ATTACHED)
    await store_statements(source, [_void(item) for item in ids[:VOIDS]])
    for number in range(SIGNED):
        unsigned = statement(id=new_id(), timestamp=f"2026-05-08T12:00:0{number}Z")
        certificate = signatures.certificate(signatures.rsa_key())
        signature = signatures.jws(json.dumps(unsigned).encode(), x5c=signatures.x5c(certificate))
        signed = {**unsigned, "attachments": [signatures.attachment(signature)]}
        await stored(source, signed, signature)
    for number in range(ATTACHED):
        content = b"content %d" % number
        await stored(source, statement_with(attachment_of(content)), content)
    return ids


async def test_history_is_pulled_in_one_request_a_page(
    partner: Partner, stranger: Partner, services: Services, pulling: Engine, server: str
) -> None:
    """Its conflicts are refused here, and voided statements are requested one by one."""
    ids = await _add_history(stranger)
    taken = ids[-CONFLICTS:]
    await store_statements(partner, [statement(id=item, result={"score": {}}) for item in taken])
    pipe = await add_pipe(
        services.database,
        partner.partner_id,
        url=f"{server}/xapi",
        credentials=Basic(stranger.key, stranger.secret),
        page=PAGE,
    )
    result = await run_until_waiting(pulling, pipe)
    assert result.last_error is None
    assert result.counts == {"stored": STATEMENTS - CONFLICTS, "conflict": CONFLICTS}
    assert sum(result.requests.values()) <= -(-STATEMENTS // PAGE) + VOIDS + 2
    kept = await refusals.fetch_page(
        services.database, partner.partner_id, RefusalFilter(), before=None, limit=10
    )
    assert {refusal.statement_id for refusal in kept} == set(taken)
    for table, count in (("signature", SIGNED), ("attachment", SIGNED + ATTACHED)):
        query = f"select count(*) from {table} where partner_id = $1"
        assert await services.database.readers.fetchval(query, partner.partner_id) == count
    voided = "select count(*) from statement_reference where partner_id = $1 and voids"
    assert await services.database.readers.fetchval(voided, partner.partner_id) == VOIDS
