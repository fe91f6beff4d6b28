"""Proxy headers: which proxies are trusted for the request URL."""

from __future__ import annotations

from typing import Any

import pytest

from lrs.server.proxy_headers import ProxyHeaders

HEADERS = [
    (b"host", b"10.0.0.7:8080"),
    (b"x-forwarded-host", b"lrs.example.com, proxy.internal"),
    (b"x-forwarded-proto", b"https"),
    (b"x-forwarded-for", b"203.0.113.9"),
]


async def seen(client: str, headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    """The ASGI scope that the application receives for a request from `client`."""
    result: dict[str, Any] = {}

    async def application(scope: Any, receive: Any, send: Any) -> None:
        result.update(scope, headers=dict(scope["headers"]))

    scope = {"type": "http", "scheme": "http", "client": (client, 1234), "headers": headers}
    await ProxyHeaders(application, "127.0.0.1,10.0.0.1")(scope, None, None)
    return result


@pytest.mark.parametrize("proxy", ["127.0.0.1", "10.0.0.1", "::ffff:10.0.0.1"])
async def test_trusted_proxy_sets_scheme_host_and_client(proxy: str) -> None:
    result = await seen(proxy, HEADERS)
    assert (result["scheme"], result["headers"][b"host"]) == ("https", b"lrs.example.com")
    assert result["client"][0] == "203.0.113.9"


async def test_ipv4_client_of_an_ipv6_socket_has_its_ipv4_address() -> None:
    assert (await seen("::ffff:203.0.113.9", []))["client"][0] == "203.0.113.9"
    assert (await seen("2001:db8::1", []))["client"][0] == "2001:db8::1"


async def test_client_cannot_choose_its_address_behind_a_proxy() -> None:
    """A proxy appends the address of its client to what the client sent."""
    for values in ([b"127.0.0.1, 198.51.100.7"], [b"127.0.0.1", b"198.51.100.7"]):
        headers = [(b"x-forwarded-for", value) for value in values]
        assert (await seen("10.0.0.1", headers))["client"][0] == "198.51.100.7"


async def test_headers_of_an_untrusted_client_are_ignored() -> None:
    result = await seen("203.0.113.9", HEADERS)
    assert (result["scheme"], result["headers"][b"host"]) == ("http", b"10.0.0.7:8080")


async def test_proxy_without_forwarded_host_keeps_the_host() -> None:
    for reported in ([], [(b"x-forwarded-host", b"")], [(b"x-forwarded-host", b" , b")]):
        result = await seen("127.0.0.1", [(b"host", b"10.0.0.7"), *reported])
        assert result["headers"][b"host"] == b"10.0.0.7"
