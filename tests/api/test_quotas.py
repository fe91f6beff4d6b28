"""Quotas: statements per day and stored bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import uuid4

import httpx
import pytest

from lrs.api.services import Services
from lrs.errors import Unavailable
from lrs.settings import Settings
from lrs.store import limits, registry
from lrs.store.registry import LimitOverrides
from tests.support.app import serving
from tests.support.attachments import MIXED, attachment_of, multipart_body, statement_with
from tests.support.canvas import Tool, new_tool
from tests.support.partners import Partner
from tests.support.statements import XAPI, new_id, statement

DAY = LimitOverrides(max_statements_per_day=10)
STATE = {"activityId": "http://example.com/a", "agent": '{"mbox":"mailto:a@example.com"}'}


@pytest.fixture
async def limited(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A server with 10 statements per day and 20,000 bytes for each partner."""
    quotas = {"max_statements_per_day": 10, "max_stored_bytes": 20_000}
    async with serving(replace(settings, **quotas)) as http:
        yield http


def statements(count: int) -> list[dict[str, object]]:
    return [statement(id=new_id()) for _ in range(count)]


async def post(http: httpx.AsyncClient, partner: Partner, body: object) -> httpx.Response:
    return await http.post(partner.url("statements"), headers=partner.headers, json=body)


async def used(services: Services, partner: Partner) -> dict[str, int]:
    rows = await limits.list_usage(services.database, partner.partner_id)
    return {row.resource: row.used for row in rows if not row.subject}


async def counted(services: Services, partner: Partner) -> int:
    return await limits.recount_stored_bytes(services.database, partner.partner_id)


async def test_batch_beyond_the_quota_of_the_day_is_refused_whole(
    limited: httpx.AsyncClient, partner: Partner, stranger: Partner
) -> None:
    assert (await post(limited, partner, statements(8))).status_code == 200
    refused = await post(limited, partner, statements(3))
    assert (refused.status_code, refused.json()["code"]) == (429, "quota-exceeded")
    assert "10 statements per UTC day; the request has 3, of 2 left" in refused.json()["detail"]
    assert 1 <= int(refused.headers["retry-after"]) <= 86_400
    assert len(await partner.all()) == 8
    assert (await post(limited, partner, statements(2))).status_code == 200
    assert (await post(limited, partner, statement(id=new_id()))).status_code == 429
    assert (await post(limited, stranger, statements(10))).status_code == 200


async def test_refused_and_repeated_statements_do_not_count(
    limited: httpx.AsyncClient, partner: Partner
) -> None:
    sent = statements(6)
    invalid = [{**item, "verb": 1} for item in statements(20)]
    assert (await post(limited, partner, invalid)).status_code == 400
    assert (await post(limited, partner, sent)).status_code == 200
    assert (await post(limited, partner, sent[:4])).status_code == 409
    assert (await post(limited, partner, statements(4))).status_code == 200


async def test_atomic_batch_with_a_conflict_does_not_count(
    limited: httpx.AsyncClient, services: Services, partner: Partner
) -> None:
    auth = (partner.key, partner.secret)
    first, *others = statements(5)
    assert (await post(limited, partner, first)).status_code == 200
    changed = {**first, "result": {"completion": True}}
    refused = await limited.post(
        "/xapi/statements", headers=XAPI, auth=auth, json=[*others, changed]
    )
    assert refused.status_code == 409
    assert (await post(limited, partner, statements(9))).status_code == 200
    leased = (await used(services, partner))["bytes"] - await counted(services, partner)
    assert 0 <= leased <= 2 * 20_000 // 1000
    assert (await post(limited, partner, statements(1))).status_code == 429


async def test_validation_and_reads_need_no_quota(
    limited: httpx.AsyncClient, partner: Partner
) -> None:
    assert (await post(limited, partner, statements(10))).status_code == 200
    checked = await limited.post(
        partner.url("statements?validate=true"), headers=partner.headers, json=statements(20)
    )
    assert checked.status_code == 200
    listed = await limited.get(partner.url("statements"), headers=partner.headers)
    assert listed.status_code == 200


async def test_quota_counts_every_interface_and_server(
    settings: Settings, limited: httpx.AsyncClient, services: Services, partner: Partner
) -> None:
    tool: Tool = await new_tool(services, partner)
    changed = replace(settings, max_statements_per_day=10)
    async with serving(changed) as second:
        assert (await post(second, partner, statements(7))).status_code == 200
        auth = (partner.key, partner.secret)
        xapi = await limited.post("/xapi/statements", headers=XAPI, auth=auth, json=statements(2))
        assert xapi.status_code == 200, xapi.text
        assert (await limited.send(tool.signed(b'{"id":"x","object":1}'))).status_code == 400
        callback = f'{{"id":"{uuid4()}","object":{{"id":"http://example.com/o"}}}}'.encode()
        assert (await limited.send(tool.signed(callback))).status_code == 200
        again = f'{{"id":"{uuid4()}","object":{{"id":"http://example.com/o"}}}}'.encode()
        assert (await second.send(tool.signed(again))).status_code == 429
        put = await second.put(
            "/xapi/statements", headers=XAPI, auth=auth, params={"statementId": new_id()},
            json=statement(),
        )  # fmt: skip
        assert (put.status_code, put.json()["code"]) == (429, "quota-exceeded")


async def test_override_takes_effect_in_a_running_server(
    services: Services, http: httpx.AsyncClient, partner: Partner
) -> None:
    await registry.set_credential_limits(services.database, partner.key, DAY)
    await asyncio.sleep(0.06)
    refused = await post(http, partner, statements(11))
    assert refused.status_code == 429
    assert "The limit of the credential is 10" in refused.json()["detail"]
    raised = LimitOverrides(max_statements_per_day=12)
    await registry.set_credential_limits(services.database, partner.key, raised)
    await asyncio.sleep(0.06)
    assert (await post(http, partner, statements(11))).status_code == 200


async def test_statements_beyond_the_stored_bytes_return_507(
    limited: httpx.AsyncClient, services: Services, partner: Partner
) -> None:
    large = statement(id=new_id(), result={"response": "x" * 9000})
    assert (await post(limited, partner, large)).status_code == 200
    assert (await post(limited, partner, {**large, "id": new_id()})).status_code == 200
    refused = await post(limited, partner, {**large, "id": new_id()})
    assert (refused.status_code, refused.json()["code"]) == (507, "quota-exceeded")
    assert "20000 stored bytes" in refused.json()["detail"]
    assert len(await partner.all()) == 2
    before = await used(services, partner)
    assert before["bytes"] == await counted(services, partner)
    assert 18_000 < before["bytes"] < 20_000


async def test_stored_bytes_follow_documents(
    limited: httpx.AsyncClient, services: Services, partner: Partner
) -> None:
    auth = (partner.key, partner.secret)
    headers = {**XAPI, "Content-Type": "application/octet-stream"}

    async def send(method: str, name: str, content: bytes = b"", **extra: str) -> int:
        answer = await limited.request(
            method, "/xapi/activities/state", params={**STATE, "stateId": name}, auth=auth,
            headers={**headers, **extra}, content=content,
        )  # fmt: skip
        return answer.status_code

    assert await send("PUT", "a", b"x" * 15_000) == 204
    assert await send("PUT", "b", b"x" * 6_000) == 507
    assert await send("PUT", "a", b"x" * 4_000) == 204
    assert await send("PUT", "b", b"x" * 15_000) == 204
    json = {"Content-Type": "application/json"}
    assert await send("POST", "c", b'{"k": "%s"}' % (b"x" * 900), **json) == 204
    assert await send("POST", "c", b'{"l": "%s"}' % (b"x" * 900), **json) == 507
    assert await send("DELETE", "a") == 204
    assert await send("POST", "c", b'{"l": "%s"}' % (b"x" * 900), **json) == 204
    assert await send("DELETE", "b", **{"If-Match": "*"}) == 204
    assert await send("PUT", "d", b"x" * 15_000) == 204
    cleared = await limited.delete("/xapi/activities/state", params=STATE, auth=auth, headers=XAPI)
    assert cleared.status_code == 204
    assert await send("PUT", "e", b"x" * 19_000) == 204
    assert await counted(services, partner) == 19_000


async def test_stored_bytes_count_each_attachment_once(
    limited: httpx.AsyncClient, services: Services, partner: Partner
) -> None:
    content = b"x" * 9_000

    async def send(body: bytes) -> int:
        answer = await limited.post(
            "/xapi/statements", headers={**XAPI, **MIXED}, auth=(partner.key, partner.secret),
            content=body,
        )  # fmt: skip
        return answer.status_code

    for _ in range(4):
        item = statement_with(attachment_of(content))
        assert await send(multipart_body(item, content)) == 200
    other = b"y" * 9_000
    assert await send(multipart_body(statement_with(attachment_of(other)), other)) == 507
    assert (await used(services, partner))["bytes"] == await counted(services, partner)


async def test_bytes_stored_before_the_quota_are_counted(
    settings: Settings, services: Services, partner: Partner
) -> None:
    large = statement(id=new_id(), result={"response": "x" * 15_000})
    assert (await partner.send(large)).status_code == 200
    await counted(services, partner)
    async with serving(replace(settings, max_stored_bytes=20_000)) as http:
        assert (await post(http, partner, {**large, "id": new_id()})).status_code == 507


async def test_count_keeps_concurrent_leases(services: Services, partner: Partner) -> None:
    database, partner_id = services.database, partner.partner_id
    assert (await partner.send(statements(3))).status_code == 200
    size = await counted(services, partner)
    await database.readers.execute(
        "update quota_usage set used = used + 777 where partner_id = $1", partner_id
    )
    assert await counted(services, partner) == size
    claimed = await limits.claim_byte_count(database, 0)
    assert claimed != partner_id
    await registry.set_partner_limits(
        database, partner.name, LimitOverrides(max_stored_bytes=10**9)
    )
    await database.readers.execute(
        "update quota_usage set counted_at = now() - interval '2 days' where partner_id = $1",
        partner_id,
    )
    assert await limits.claim_byte_count(database, 0) == partner_id
    assert await limits.claim_byte_count(database, 0) is None


async def test_new_day_opens_the_quota(
    limited: httpx.AsyncClient, services: Services, partner: Partner
) -> None:
    assert (await post(limited, partner, statements(10))).status_code == 200
    await services.database.readers.execute(
        "update quota_usage set day = day - 1 where resource = 'statements' and partner_id = $1",
        partner.partner_id,
    )
    assert (await post(limited, partner, statements(10))).status_code == 200


async def test_unavailable_database_is_reported_as_503(
    settings: Settings, partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Quotas alone refuse nothing then."""

    async def fail(*_: object) -> None:
        raise Unavailable("The database does not answer.")

    monkeypatch.setattr(limits, "take_quota", fail)
    async with serving(replace(settings, max_statements_per_day=1)) as http:
        assert (await post(http, partner, statements(5))).status_code == 200
