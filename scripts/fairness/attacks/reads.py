"""Attacks by requests for large, slow or many responses."""

from __future__ import annotations

import asyncio
import json

from scripts.fairness.attacks.client import Target, connect, http, repeat, request_head
from scripts.fairness.victim import statement


async def unread_responses(target: Target) -> None:
    """Requests for large pages, whose responses are not read."""
    text = "x" * 200_000
    async with http(target) as client:
        for _ in range(4):
            batch = [statement("mallory") | {"result": {"response": text}} for _ in range(12)]
            await client.post("/xapi/statements", json=batch)
    head = request_head("GET", "/xapi/statements?limit=500", target.headers)

    async def once() -> None:
        _, writer = await connect(target)
        writer.write(head)
        await asyncio.sleep(60)
        writer.close()

    await repeat(60, once)


async def slow_exports(target: Target) -> None:
    head = request_head(
        "GET", f"/v1/partners/{target.partner}/reports/date_dim.csv", target.headers
    )

    async def once() -> None:
        reader, writer = await connect(target)
        writer.write(head)
        try:
            while await asyncio.wait_for(reader.read(500), 30):  # noqa: ASYNC110 - slow on purpose
                await asyncio.sleep(0.5)
        finally:
            writer.close()

    await repeat(8, once)


async def record_files(target: Target) -> None:
    """Learner records as Parquet files, again and again."""
    async with http(target) as client:
        await _store(target, 2000)
        path = f"/v1/partners/{target.partner}/records.parquet"
        await repeat(8, lambda: client.get(path))


async def related_pages(target: Target) -> None:
    """Pages of 500 statements of an agent with attachments, through related agents."""
    async with http(target) as client:
        await _store(target, 5000)
        agent = json.dumps({"mbox": "mailto:mallory@example.com"})
        parameters = {"agent": agent, "related_agents": "true", "limit": "500"}

        async def once() -> None:
            for attachments in ("true", "false"):
                query = {**parameters, "attachments": attachments}
                response = await client.get("/xapi/statements", params=query)
                more = response.json().get("more") if attachments == "false" else None
                while more:
                    more = (await client.get(more)).json().get("more")

        await repeat(32, once)


async def _store(target: Target, count: int) -> None:
    async with http(target) as client:
        for first in range(0, count, 500):
            batch = [
                statement("mallory", f"{first + number}")
                for number in range(min(500, count - first))
            ]
            await client.post(target.statements, json=batch)


# Of an operator


async def live_streams(target: Target) -> None:
    """Hundreds of live streams of the console."""
    headers = {"Authorization": f"Bearer {target.operator_token}"}
    request = request_head("GET", f"/console/partners/{target.partner}/live/events", headers)

    async def once() -> None:
        reader, writer = await connect(target)
        writer.write(request)
        while await reader.read(65_536):
            pass
        writer.close()

    await repeat(300, once)


async def statement_browser(target: Target) -> None:
    """The pages and lists of an operator of the partner, in a loop."""
    await _store(target, 2000)
    async with http(target) as client:
        client.headers["Authorization"] = f"Bearer {target.operator_token}"
        partner = target.partner
        paths = (
            f"/v1/admin/partners/{partner}/statements?limit=100",
            f"/v1/admin/partners/{partner}/learners?search=a",
            f"/v1/admin/partners/{partner}/reports",
            f"/v1/admin/partners/{partner}/refusals",
            "/v1/admin/overview",
            "/v1/admin/audit",
        )

        async def once() -> None:
            for path in paths:
                await client.get(path)

        await repeat(32, once)


async def resubmissions(target: Target) -> None:
    """One refused item, sent again and again by an operator."""
    async with http(target) as client:
        await client.post(target.statements, json=statement("mallory") | {"verb": {"id": "no IRI"}})
        await asyncio.sleep(3)
        client.headers["Authorization"] = f"Bearer {target.operator_token}"
        refusals = f"/v1/admin/partners/{target.partner}/refusals"
        found = (await client.get(refusals)).json()["refusals"]
        path = f"{refusals}/{found[0]['id']}/resubmit"
        await repeat(32, lambda: client.post(path, json={}))
