"""Which addresses pipes may connect to, and a transport that connects to checked ones only."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Sequence
from functools import cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

import httpx

Address = IPv4Address | IPv6Address

# Beside link-local ones: services that hand out credentials of a cloud machine.
_METADATA = frozenset({ip_address("fd00:ec2::254"), ip_address("100.100.100.200")})
_NAT64 = IPv6Network("64:ff9b::/96")


class AddressRefused(httpx.ConnectError):
    """The address of a host is not one that pipes may connect to."""


class AddressRules:
    """Link-local addresses are refused; with `networks` (CIDR), all addresses outside of them."""

    def __init__(self, networks: str = "") -> None:
        self._networks = [ip_network(text.strip()) for text in networks.split(",") if text.strip()]

    def refusal(self, address: Address) -> str | None:
        """Why the address is refused, or None."""
        address = _embedded(address)
        if address.is_link_local or address in _METADATA:
            return "is link-local"
        if address.is_multicast or address.is_unspecified:
            return "is no address of a host"
        if self._networks and not any(address in network for network in self._networks):
            return "is not in LRS_PIPE_NETWORKS"
        return None

    async def resolve(self, host: str, port: int) -> list[Address]:
        """The addresses of the host that may be connected to, in the order of the resolver.

        Raises httpx.ConnectError if it has none, and AddressRefused if one is refused.
        """
        if literal := _literal(host):
            return [self._checked(host, literal)]
        loop = asyncio.get_running_loop()
        try:
            answers = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpx.ConnectError(f"Cannot resolve {host}: {error}.") from error
        addresses = [ip_address(str(item[4][0]).partition("%")[0]) for item in answers]
        return [self._checked(host, address) for address in dict.fromkeys(addresses)]

    def _checked(self, host: str, address: Address) -> Address:
        if reason := self.refusal(address):
            raise AddressRefused(f"{host} has the address {address}, which {reason}.")
        return address


@cache
def _tls_context() -> ssl.SSLContext:
    """One of the process: to load the certificates of authorities takes a tenth of a second."""
    return httpx.create_ssl_context()


class CheckedTransport(httpx.AsyncBaseTransport):
    """Connects to the checked address itself: the name is not resolved a second time."""

    def __init__(self, rules: AddressRules) -> None:
        self._rules = rules
        self._transport = httpx.AsyncHTTPTransport(verify=_tls_context(), retries=0)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        host = url.host
        port = url.port or (443 if url.scheme == "https" else 80)
        addresses = await self._rules.resolve(host, port)
        return await self._send(request, host, addresses)

    async def _send(
        self, request: httpx.Request, host: str, addresses: Sequence[Address]
    ) -> httpx.Response:
        """Tries the addresses in order; the Host header and TLS name stay those of the URL."""
        error: httpx.ConnectError | httpx.ConnectTimeout | None = None
        for address in addresses:
            target = httpx.Request(
                request.method,
                request.url.copy_with(host=str(address)),
                headers=request.headers,
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": host},
            )
            try:
                return await self._transport.handle_async_request(target)
            except (httpx.ConnectError, httpx.ConnectTimeout) as failure:
                error = failure
        raise error or httpx.ConnectError(f"{host} has no address.")

    async def aclose(self) -> None:
        await self._transport.aclose()


def _literal(host: str) -> Address | None:
    """The address that a host is written as; None for a name."""
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        return None


def _embedded(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, or the address itself."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return address.ipv4_mapped
        if address.sixtofour:
            return address.sixtofour
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address
