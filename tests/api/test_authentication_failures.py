"""Failed authentication is throttled, without locking out the holders of credentials."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest
from joserfc.jwk import KeySet, RSAKey

from lrs.api.application import Application
from lrs.api.services import Services
from lrs.app import create_app
from lrs.auth import credentials
from lrs.errors import TooManyRequests
from lrs.limits.failures import FailureThrottle
from lrs.settings import Settings
from lrs.xapi.canvas_launches import Launch
from tests.support.canvas import Tool, message, new_tool, sign_token
from tests.support.limits import Clock
from tests.support.oauth import GRANT, TOKEN
from tests.support.partners import Partner
from tests.support.statements import XAPI

ATTACKER = "203.0.113.7"
HOLDER = "198.51.100.2"


@pytest.fixture
async def throttled(settings: Settings) -> AsyncIterator[Application]:
    application = create_app(replace(settings, max_authentication_failures=5))
    async with application.lifespan():
        yield application


def client(application: Application, address: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=application, client=(address, 50_000))
    return httpx.AsyncClient(transport=transport, base_url="http://lrs.test")


async def basic(http: httpx.AsyncClient, key: str, secret: str) -> httpx.Response:
    return await http.get("/xapi/statements", headers=XAPI, auth=(key, secret))


async def bearer(http: httpx.AsyncClient, partner: Partner, token: str) -> httpx.Response:
    return await http.get(partner.url("statements"), headers={"Authorization": f"Bearer {token}"})


async def test_failures_of_an_address_return_429_with_retry_after(
    throttled: Application, partner: Partner
) -> None:
    attacker = client(throttled, ATTACKER)
    for number in range(5):
        assert (await basic(attacker, f"key-{number}", "wrong")).status_code == 401
    for answer in (
        await basic(attacker, "key-5", "wrong"),
        await bearer(attacker, partner, "garbage"),
        await attacker.post(TOKEN, data=GRANT, auth=("key-6", "wrong")),
    ):
        assert answer.status_code == 429
        assert answer.json()["code"] == "rate-limit-exceeded"
        assert 1 <= int(answer.headers["retry-after"]) <= 12
    other = client(throttled, HOLDER)
    assert (await basic(other, "key-7", "wrong")).status_code == 401


async def test_wrong_secrets_do_not_lock_out_the_holder_of_the_key(
    throttled: Application, partner: Partner
) -> None:
    holder, attacker = client(throttled, HOLDER), client(throttled, ATTACKER)
    for number in range(7):
        answer = await basic(attacker, partner.key, f"wrong-{number}")
        assert answer.status_code == (401 if number < 5 else 429)
    assert (await basic(attacker, partner.key, partner.secret)).status_code == 429
    assert (await basic(holder, partner.key, partner.secret)).status_code == 200
    token = await holder.post(TOKEN, data=GRANT, auth=(partner.key, partner.secret))
    assert token.status_code == 200
    # A valid token is accepted from everywhere: it cannot be guessed.
    assert (await bearer(attacker, partner, token.json()["access_token"])).status_code == 200


async def test_cached_caller_passes_from_a_throttled_address(
    throttled: Application, partner: Partner
) -> None:
    """A proxy that hides the addresses of its clients."""
    proxy = client(throttled, ATTACKER)
    assert (await basic(proxy, partner.key, partner.secret)).status_code == 200
    for number in range(7):
        await basic(proxy, partner.key, f"wrong-{number}")
    assert (await basic(proxy, partner.key, partner.secret)).status_code == 200


async def test_key_in_use_passes_from_a_throttled_address(
    throttled: Application, partner: Partner
) -> None:
    proxy = client(throttled, ATTACKER)
    grant = {"data": GRANT, "auth": (partner.key, partner.secret)}
    assert (await proxy.post(TOKEN, **grant)).status_code == 200
    for number in range(7):
        await basic(proxy, f"other-{number}", "wrong")
    assert (await proxy.post(TOKEN, **grant)).status_code == 200


async def test_key_that_many_addresses_attack_accepts_its_secret_from_another_address(
    throttled: Application, partner: Partner
) -> None:
    """Each further address has one attempt."""
    for number in range(5):
        address = client(throttled, f"203.0.113.{number}")
        assert (await basic(address, partner.key, "wrong")).status_code == 401
    address = client(throttled, "203.0.113.99")
    assert (await basic(address, partner.key, "wrong")).status_code == 401
    assert (await basic(address, partner.key, "wrong")).status_code == 429
    assert (await basic(client(throttled, HOLDER), partner.key, partner.secret)).status_code == 200


async def test_expired_token_is_no_failure(
    throttled: Application, settings: Settings, partner: Partner
) -> None:
    tokens = throttled.services.tokens if throttled.services else None
    assert tokens
    tokens.ttl_seconds = -10
    expired = tokens.issue(partner.key, frozenset({"all"}), b"")
    http = client(throttled, HOLDER)
    for _ in range(8):
        assert (await bearer(http, partner, expired)).status_code == 403


async def test_failures_of_a_callback_return_429_in_its_format(
    throttled: Application, services: Services, partner: Partner
) -> None:
    tool: Tool = await new_tool(services, partner)
    attacker, holder = client(throttled, ATTACKER), client(throttled, HOLDER)
    for number in range(6):
        answer = await attacker.send(tool.signed(b"{}", client_secret=f"wrong_{number}"))
        assert answer.status_code == (401 if number < 5 else 429)
    assert message(answer).startswith("Too many failed authentications")
    assert answer.headers["retry-after"].isdigit()
    forged = await attacker.post("/api/lti/v1/xapi/forged")
    assert forged.status_code == 429
    assert (await holder.send(tool.signed(b'{"id": "1"}'))).status_code == 400


async def test_wrong_metrics_tokens_are_throttled(settings: Settings) -> None:
    limited = replace(
        settings, max_authentication_failures=2, metrics_token="a token of the metrics"
    )
    application = create_app(limited)
    async with application.lifespan():
        attacker, holder = client(application, ATTACKER), client(application, HOLDER)
        wrong = {"Authorization": "Bearer wrong"}
        answers = [await attacker.get("/metrics", headers=wrong) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [401, 401, 429]
        right = {"Authorization": "Bearer a token of the metrics"}
        assert (await holder.get("/metrics", headers=right)).status_code == 200


def test_ipv6_network_counts_as_one_address() -> None:
    throttle = FailureThrottle(2, clock=Clock())
    throttle.failed("2001:db8::1", None)
    throttle.failed("2001:db8::2", None)
    with pytest.raises(TooManyRequests):
        throttle.check("2001:db8::3", None)
    throttle.check("2001:db8:0:1::3", None)
    throttle.check("", None)
    throttle.check("not an address", None)


def test_failures_are_forgiven_with_time() -> None:
    clock = Clock()
    throttle = FailureThrottle(2, clock=clock)
    for _ in range(2):
        throttle.failed(ATTACKER, "key")
    with pytest.raises(TooManyRequests, match="retry in 30 s"):
        throttle.check(ATTACKER, "key")
    clock.now += 30
    throttle.check(ATTACKER, "key")


def test_memory_of_failures_is_bounded() -> None:
    throttle = FailureThrottle(1, clock=Clock(), max_entries=10)
    for number in range(100):
        throttle.failed(f"10.0.0.{number}", f"key-{number}")
        throttle.succeeded(f"key-{number}")
    assert throttle.size == 40


async def test_forged_callback_tokens_of_used_and_unknown_tools_have_equal_responses(
    throttled: Application, services: Services, partner: Partner
) -> None:
    tool: Tool = await new_tool(services, partner)
    attacker = client(throttled, ATTACKER)
    await client(throttled, HOLDER).send(tool.signed(b'{"id": "1"}'))  # the tool is in use
    statuses = {}
    for _ in range(8):
        for names in ((partner.name, tool.name), (partner.name, "unknown"), ("x", "unknown")):
            launch = Launch(*names, "42", "9", 1, "salt")
            forged = sign_token(launch, b"another key of thirty-two bytes.")
            request = tool.signed(b"{}", url=f"http://lrs.test/api/lti/v1/xapi/{forged}")
            statuses.setdefault(names, []).append((await attacker.send(request)).status_code)
    assert {tuple(of_key[2:]) for of_key in statuses.values()} == {(429,) * 6}


async def test_token_that_ended_with_its_secret_is_no_failure(
    throttled: Application, partner: Partner
) -> None:
    assert throttled.services
    holder = client(throttled, HOLDER)
    database = throttled.services.database
    rotated = await credentials.rotate_credential(database, partner.key, None)
    for _ in range(8):
        assert (await bearer(holder, partner, partner.token)).status_code == 401
    answer = await holder.post(TOKEN, data=GRANT, auth=(partner.key, rotated.secret))
    assert answer.status_code == 200


async def test_token_of_a_retired_key_is_no_failure_where_it_was_valid(
    throttled: Application, partner: Partner
) -> None:
    assert throttled.services
    holder = client(throttled, HOLDER)
    throttled.services.authenticator._proof_seconds = 0.0
    assert (await bearer(holder, partner, partner.token)).status_code == 200
    throttled.services.tokens.signing_keys.key_set = KeySet([RSAKey.generate_key(2048)])
    throttled.services.tokens.signing_keys._loaded_at = float("inf")
    for _ in range(8):
        assert (await bearer(holder, partner, partner.token)).status_code == 401
    answer = await holder.post(TOKEN, data=GRANT, auth=(partner.key, partner.secret))
    assert answer.status_code == 200
