"""Rate limits and concurrent requests of partners and credentials."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest

from lrs.api.services import Services
from lrs.auth import credentials, scopes
from lrs.errors import Unavailable
from lrs.settings import Settings
from lrs.store import limits, registry
from lrs.store.registry import LimitOverrides
from tests.support.app import serving
from tests.support.oauth import GRANT, TOKEN
from tests.support.partners import Partner
from tests.support.statements import XAPI


def statuses(answers: list[httpx.Response]) -> list[int]:
    return [answer.status_code for answer in answers]


async def get(http: httpx.AsyncClient, partner: Partner, count: int) -> list[httpx.Response]:
    url = partner.url("statements")
    return [await http.get(url, headers=partner.headers) for _ in range(count)]


async def test_request_beyond_the_rate_limit_returns_429_with_retry_after(
    settings: Settings, partner: Partner
) -> None:
    limited = replace(settings, rate_limit="3/minute")
    async with serving(limited) as http:
        answers = await get(http, partner, 5)
        assert statuses(answers) == [200, 200, 200, 429, 429]
        assert answers[3].json()["code"] == "rate-limit-exceeded"
        assert 1 <= int(answers[3].headers["retry-after"]) <= 60
        # The limit counts the credential, whatever the authentication method.
        basic = await http.get("/xapi/statements", headers=XAPI, auth=(partner.key, partner.secret))
        assert basic.status_code == 429
        token = await http.post(TOKEN, data=GRANT, auth=(partner.key, partner.secret))
        assert (token.status_code, token.headers["retry-after"].isdigit()) == (429, True)


async def test_rate_limit_is_per_credential(
    settings: Settings, partner: Partner, stranger: Partner
) -> None:
    async with serving(replace(settings, rate_limit="1/minute")) as http:
        for client in (partner, stranger):
            assert statuses(await get(http, client, 2)) == [200, 429]


async def test_rate_limit_of_a_partner_counts_all_credentials(
    settings: Settings, services: Services, partner: Partner
) -> None:
    row = await registry.get_partner(services.database, partner.name)
    second = await credentials.add_credential(
        services.database, row, kind="bearer", label="", granted=frozenset({scopes.ALL}),
        expires_at=None,
    )  # fmt: skip
    limited = replace(settings, partner_rate_limit="3/minute")
    async with serving(limited) as http:
        assert statuses(await get(http, partner, 2)) == [200, 200]
        other = {"Authorization": f"Bearer {second.token}"}
        url = partner.url("statements")
        answers = [await http.get(url, headers=other) for _ in range(2)]
        assert statuses(answers) == [200, 429]
        assert "The limit of the partner is 3/minute" in answers[1].json()["detail"]


async def test_rate_limit_is_shared_by_servers(settings: Settings, partner: Partner) -> None:
    limited = replace(settings, rate_limit="3/minute")
    async with serving(limited) as first, serving(limited) as second:
        answers = [*await get(first, partner, 2), *await get(second, partner, 2)]
        assert statuses(answers) == [200, 200, 200, 429]


async def test_every_authenticated_answer_has_rate_limit_headers(
    settings: Settings, partner: Partner
) -> None:
    limited = replace(settings, rate_limit="4/minute", partner_rate_limit="9/hour")
    async with serving(limited) as http:
        listed = await http.get(partner.url("statements"), headers=partner.headers)
        forbidden = await http.get("/v1/partners/other/statements", headers=partner.headers)
        invalid = await http.post(
            partner.url("statements"), headers=partner.headers, json={"actor": 1}
        )
        token = await http.post(TOKEN, data=GRANT, auth=(partner.key, partner.secret))
        refused = await http.get(partner.url("statements"), headers=partner.headers)
        answers = [listed, forbidden, invalid, token, refused]
        assert statuses(answers) == [200, 403, 400, 200, 429]
        for remaining, answer in zip((3, 2, 1, 0, 0), answers, strict=True):
            assert answer.headers["ratelimit-policy"] == (
                '"partner";q=9;w=3600, "credential";q=4;w=60'
            )
            pattern = rf'"partner";r=[0-8];t=\d+, "credential";r={remaining};t=\d+'
            assert re.fullmatch(pattern, answer.headers["ratelimit"])
        anonymous = await http.get(partner.url("statements"))
        assert "ratelimit" not in anonymous.headers


async def test_answer_has_no_rate_limit_headers_without_a_rate(partner: Partner) -> None:
    answer = await partner.get()
    assert not {"ratelimit", "ratelimit-policy"} & set(answer.headers)


async def test_override_takes_effect_in_a_running_server(
    services: Services, http: httpx.AsyncClient, partner: Partner
) -> None:
    database = services.database
    assert statuses(await get(http, partner, 3)) == [200, 200, 200]
    limit = LimitOverrides(rate_limit="1/minute")
    await registry.set_partner_limits(database, partner.name, limit)
    await asyncio.sleep(0.06)
    assert statuses(await get(http, partner, 2)) == [200, 429]
    await registry.set_partner_limits(database, partner.name, LimitOverrides())
    await registry.set_credential_limits(database, partner.key, limit)
    await asyncio.sleep(0.06)
    answers = await get(http, partner, 2)
    assert statuses(answers) == [200, 429]
    assert "of the credential" in answers[1].json()["detail"]


async def test_override_lifts_the_limit_of_the_settings(
    settings: Settings, services: Services, partner: Partner
) -> None:
    await registry.set_credential_limits(
        services.database, partner.key, LimitOverrides(rate_limit="")
    )
    async with serving(replace(settings, rate_limit="1/minute")) as http:
        assert statuses(await get(http, partner, 3)) == [200, 200, 200]


async def test_unavailable_database_leaves_the_limit_of_the_worker(
    settings: Settings, partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise Unavailable("The database does not answer.")

    monkeypatch.setattr(limits, "take_tokens", fail)
    async with serving(replace(settings, rate_limit="2/minute")) as http:
        assert statuses(await get(http, partner, 3)) == [200, 200, 429]


class SlowRequest:
    """A POST whose body the server waits for, until it is finished."""

    def __init__(self, http: httpx.AsyncClient, partner: Partner) -> None:
        self._is_read = asyncio.Event()
        self._is_complete = asyncio.Event()
        headers = {**partner.headers, "Content-Type": "application/json"}
        self.task = asyncio.create_task(
            http.post(partner.url("statements"), content=self._body(), headers=headers)
        )

    async def _body(self) -> AsyncIterator[bytes]:
        self._is_read.set()
        await self._is_complete.wait()
        yield b"{}"

    async def started(self) -> SlowRequest:
        await asyncio.wait_for(self._is_read.wait(), 10)
        return self

    async def finish(self) -> httpx.Response:
        self._is_complete.set()
        return await self.task


async def test_concurrent_request_beyond_the_limit_returns_429(
    settings: Settings, partner: Partner, stranger: Partner
) -> None:
    limited = replace(settings, max_concurrent_requests_per_partner=2)
    async with serving(limited) as http:
        slow = [await SlowRequest(http, partner).started() for _ in "12"]
        (refused,) = await get(http, partner, 1)
        assert refused.status_code == 429
        assert refused.headers["retry-after"] == "1"
        assert "2 concurrent requests" in refused.json()["detail"]
        assert statuses(await get(http, stranger, 1)) == [200]
        assert statuses([await request.finish() for request in slow]) == [400, 400]
        assert statuses(await get(http, partner, 3)) == [200, 200, 200]


async def test_cancelled_request_no_longer_counts(settings: Settings, partner: Partner) -> None:
    limited = replace(settings, max_concurrent_requests_per_partner=1)
    async with serving(limited) as http:
        slow = await SlowRequest(http, partner).started()
        assert statuses(await get(http, partner, 1)) == [429]
        slow.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow.task
        assert statuses(await get(http, partner, 1)) == [200]


async def test_concurrent_requests_of_an_override_are_shared_by_servers(
    settings: Settings, services: Services, partner: Partner
) -> None:
    limit = LimitOverrides(max_concurrent_requests=2)
    await registry.set_partner_limits(services.database, partner.name, limit)
    async with serving(settings) as first, serving(settings) as second:
        slow = [await SlowRequest(http, partner).started() for http in (first, second)]
        for http in (first, second):
            assert statuses(await get(http, partner, 1)) == [429]
        assert (await slow[0].finish()).status_code == 400
        assert statuses(await get(first, partner, 2)) == [200, 200]
        assert (await slow[1].finish()).status_code == 400
