"""Alarms: judged once for all servers, sent once, repeated after a failure."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import orjson
import pytest

from lrs.api.services import Services
from lrs.ledger.alarms import ROUND, Alarms
from lrs.observability import metrics
from lrs.store import maintenance, registry
from lrs.store.partner_settings import PartnerSettings
from tests.support.ledger import write_ledger
from tests.support.partners import Partner
from tests.support.pipes import add_pipe
from tests.support.statements import new_id, statement

Json = dict[str, Any]


class Webhook:
    """A receiver of alarms with a status of its own."""

    def __init__(self) -> None:
        self.url = ""
        self.status = 204
        self.received: list[Json] = []

    def of(self, partner: Partner) -> list[Json]:
        return [message for message in self.received if message["partner"] == partner.name]

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length:")[2].split()[0])
        self.received.append(orjson.loads(await reader.readexactly(size)))
        writer.write(
            b"HTTP/1.1 %d X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % self.status
        )
        writer.close()


@asynccontextmanager
async def listening() -> AsyncIterator[Webhook]:
    webhook = Webhook()
    server = await asyncio.start_server(webhook.handle, "127.0.0.1", 0)
    async with server:
        webhook.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
        yield webhook


@pytest.fixture
async def webhook(services: Services, connection: asyncpg.Connection) -> AsyncIterator[Webhook]:
    # The server of the other tests does not judge for the next 25 seconds.
    await maintenance.claim_round(services.database, ROUND, 0)
    await connection.execute("delete from alarm")
    async with listening() as receiver:
        yield receiver


def alarms(services: Services, webhook: Webhook, **options: Any) -> Alarms:
    return Alarms(
        services.database,
        webhook_url=webhook.url,
        server_url="https://lrs.example",
        evaluation_seconds=0,
        clock=lambda: datetime.now(UTC) + timedelta(minutes=1),
        **options,
    )


async def silent(services: Services, partner: Partner) -> None:
    """The partner stores a statement; its limit is over by a clock that is a minute ahead."""
    await partner.send(statement())
    settings = PartnerSettings(silence_alarm_seconds=30)
    await registry.set_partner_settings(services.database, partner.name, settings)


async def test_silence_fires_and_is_resolved_by_the_next_statement(
    services: Services, partner: Partner, connection: asyncpg.Connection, webhook: Webhook
) -> None:
    await silent(services, partner)
    judge = alarms(services, webhook)
    await judge.run_once()
    await judge.run_once()
    (message,) = webhook.of(partner)
    assert (message["alarm"], message["state"]) == ("silence", "firing")
    assert message["server"] == "https://lrs.example"
    assert message["details"]["silent_seconds"] >= 1
    assert datetime.fromisoformat(message["since"]).tzinfo
    gauge = metrics.ALARM_FIRING.labels(partner.name, "silence")
    assert gauge._value.get() == 1
    await registry.set_partner_settings(services.database, partner.name, PartnerSettings())
    await partner.send(statement())
    await judge.run_once()
    assert [item["state"] for item in webhook.of(partner)] == ["firing", "resolved"]
    assert gauge._value.get() == 0


async def test_refusal_rate_fires(services: Services, partner: Partner, webhook: Webhook) -> None:
    await partner.send([statement(), *[{**statement(), "verb": 1}] * 12])
    await write_ledger(services)
    await alarms(services, webhook).run_once()
    (message,) = webhook.of(partner)
    assert (message["alarm"], message["state"]) == ("refusals", "firing")
    assert (message["details"]["received"], message["details"]["refused"]) == (13, 12)
    assert "12 of 13 items refused" in message["text"]


async def test_firing_alarm_is_repeated_after_the_interval(
    services: Services, partner: Partner, connection: asyncpg.Connection, webhook: Webhook
) -> None:
    await silent(services, partner)
    await alarms(services, webhook).run_once()
    await alarms(services, webhook).run_once()
    assert len(webhook.of(partner)) == 1
    await connection.execute(
        "update alarm set notified_at = notified_at - interval '241 min' where partner_id = $1",
        partner.partner_id,
    )
    await alarms(services, webhook).run_once()
    assert len(webhook.of(partner)) == 2


async def test_failed_notification_is_retried_with_backoff(
    services: Services, partner: Partner, connection: asyncpg.Connection, webhook: Webhook
) -> None:
    await silent(services, partner)
    webhook.status = 500
    await alarms(services, webhook).run_once()
    await alarms(services, webhook).run_once()
    assert len(webhook.of(partner)) == 1  # the retry is not due
    row = await connection.fetchrow(
        "select failures, notified, retry_at > now() as waits from alarm where partner_id = $1",
        partner.partner_id,
    )
    assert tuple(row) == (1, False, True)
    webhook.status = 200
    await connection.execute("update alarm set retry_at = now()")
    await alarms(services, webhook).run_once()
    await alarms(services, webhook).run_once()
    assert len(webhook.of(partner)) == 2


async def test_unreachable_webhook_leaves_the_alarm_to_the_next_attempt(
    services: Services, partner: Partner, connection: asyncpg.Connection, webhook: Webhook
) -> None:
    await silent(services, partner)
    webhook.url = "http://127.0.0.1:1/hook"
    await alarms(services, webhook).run_once()
    failures = await connection.fetchval(
        "select failures from alarm where partner_id = $1", partner.partner_id
    )
    assert failures == 1


async def test_one_of_several_servers_sends(
    services: Services, partner: Partner, connection: asyncpg.Connection, webhook: Webhook
) -> None:
    await silent(services, partner)
    await asyncio.gather(*(alarms(services, webhook).run_once() for _ in range(4)))
    assert len(webhook.of(partner)) == 1


async def test_alarms_take_no_labels_from_the_metrics_of_items(
    services: Services, partner: Partner, webhook: Webhook
) -> None:
    labeled = set(metrics._labeled_partners) - {partner.name}
    await silent(services, partner)
    metrics._labeled_partners.discard(partner.name)
    await alarms(services, webhook).run_once()
    assert set(metrics._labeled_partners) - {partner.name} == labeled
    assert partner.name not in metrics._labeled_partners


async def test_one_worker_in_an_interval_runs_a_round(services: Services) -> None:
    task = new_id()
    claims = [await maintenance.claim_round(services.database, task, 25) for _ in range(3)]
    assert claims == [True, False, False]
    assert await maintenance.claim_round(services.database, task, 0)


async def test_alarm_of_a_disabled_partner_is_resolved(
    services: Services, partner: Partner, connection: asyncpg.Connection, webhook: Webhook
) -> None:
    await silent(services, partner)
    await alarms(services, webhook).run_once()
    await connection.execute(
        "update partner set disabled_at = now() where partner_id = $1", partner.partner_id
    )
    await alarms(services, webhook).run_once()
    assert [item["state"] for item in webhook.of(partner)] == ["firing", "resolved"]


async def test_alarm_that_is_resolved_before_it_was_sent_is_not_sent(
    services: Services, partner: Partner, connection: asyncpg.Connection, webhook: Webhook
) -> None:
    await silent(services, partner)
    receiver, webhook.url = webhook.url, ""
    await alarms(services, webhook).run_once()
    await registry.set_partner_settings(services.database, partner.name, PartnerSettings())
    webhook.url = receiver
    await alarms(services, webhook).run_once()
    assert webhook.of(partner) == []


async def test_failing_or_paused_pipe_fires_until_it_is_changed(
    services: Services, partner: Partner, connection: asyncpg.Connection, webhook: Webhook
) -> None:
    await partner.send(statement())
    pipe = await add_pipe(services.database, partner.partner_id, direction="forward", name="crm")
    judge = alarms(services, webhook)

    async def judged(state: str, since: str, config_version: int) -> list[str]:
        await connection.execute(
            "update pipe set state = $2, last_error = '401 Unauthorized.', "
            "last_success_at = now() - $3::text::interval, "
            "cursor = jsonb_build_object('config_version', $4::integer) where partner_id = $1",
            partner.partner_id,
            state,
            since,
            config_version,
        )
        await judge.run_once()
        await judge.run_once()
        return [message["state"] for message in webhook.of(partner)]

    version = pipe.config_version
    assert await judged("failing", "10 s", version) == []
    assert await judged("failing", "2 min", version) == ["firing"]
    assert "The pipe crm fails: 401 Unauthorized." in webhook.of(partner)[0]["text"]
    assert await judged("running", "0 s", version) == ["firing", "resolved"]
    assert await judged("paused", "0 s", version) == ["firing", "resolved", "firing"]
    assert (await judged("paused", "0 s", version - 1))[-1] == "resolved"
