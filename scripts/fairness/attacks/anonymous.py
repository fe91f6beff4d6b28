"""Attacks without credentials, or with wrong ones."""

from __future__ import annotations

import itertools
import os
from functools import partial

import httpx

from scripts.fairness.attacks.client import MIB, Target, http, repeat, request_head, send


async def declared_length(target: Target) -> None:
    """Heads of 16 MiB requests in the alternate syntax, without a body."""
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Expect": "100-continue",
        "Content-Length": str(16 * MIB),
    }
    head = request_head("POST", "/xapi/statements?method=PUT", headers)
    await repeat(8, partial(send, target, head, 0, b"", 0))


async def anonymous_callbacks(target: Target) -> None:
    """Callbacks with an invalid token, whose bodies arrive slowly."""
    headers = {"Content-Type": "application/json", "Content-Length": str(16 * MIB)}
    head = request_head("POST", "/api/lti/v1/xapi/invalid", headers)
    await repeat(33, partial(send, target, head, 10_000, b" " * 1000, 0.1))


async def anonymous_uploads(target: Target) -> None:
    """Complete 16 MiB bodies without credentials."""
    headers = {"Content-Type": "application/json", "Content-Length": str(16 * MIB)}
    head = request_head("POST", "/xapi/statements", headers)
    await repeat(16, partial(send, target, head, 16, b" " * MIB, 0))


async def slow_token_requests(target: Target) -> None:
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Content-Length": "60000",
    }
    head = request_head("POST", "/oauth2/token", headers)
    await repeat(200, partial(send, target, head, 60_000, b"a", 0.5))


async def half_open(target: Target) -> None:
    """5,000 connections that never complete a request."""
    await repeat(5000, partial(send, target, b"GET / HTTP/1.1\r\nX-A: ", 100_000, b"a", 5))


async def wrong_credentials(target: Target) -> None:
    async with http(target) as client:

        async def once() -> None:
            await client.post(
                "/oauth2/token",
                data={"grant_type": "client_credentials"},
                auth=(target.key, os.urandom(8).hex()),
            )

        await repeat(32, once)


async def operations_resources(target: Target) -> None:
    """`/metrics`, `/readyz` and the documentation, as fast as they respond."""
    async with http(target) as client:
        paths = ["/metrics", "/readyz", "/openapi.json", "/docs"]

        async def once() -> None:
            for path in paths:
                await client.get(path)

        await repeat(16, once)


async def unauthorized_storm(target: Target) -> None:
    """Requests with invalid tokens from 200 addresses."""
    addresses = itertools.cycle(f"127.0.1.{number}" for number in range(1, 201))

    async def once() -> None:
        transport = httpx.AsyncHTTPTransport(local_address=next(addresses))
        async with httpx.AsyncClient(base_url=target.url, transport=transport) as client:
            for _ in range(20):
                token = os.urandom(30).hex()
                await client.get("/xapi/statements", headers={"Authorization": f"Bearer {token}"})

    await repeat(16, once)


async def login_flood(target: Target) -> None:
    """Wrong passwords of operators: each comparison costs a password hash."""
    async with http(target) as client:

        async def once() -> None:
            email = f"{os.urandom(6).hex()}@example.com"
            await client.post(
                "/v1/admin/session", json={"email": email, "password": os.urandom(16).hex()}
            )

        await repeat(32, once)


async def invalid_callbacks(target: Target) -> None:
    body = b'{"id": "1"}'
    async with http(target) as client:

        async def once() -> None:
            path = f"/api/lti/v1/xapi/{os.urandom(24).hex()}"
            await client.post(path, content=body, headers={"Content-Type": "application/json"})

        await repeat(32, once)
