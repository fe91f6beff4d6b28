"""The listener, the public URL and the worker processes."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated
from urllib.parse import urlsplit

from msgspec import Meta

from lrs.settings.fields import expected, subject


@subject
class ServerSettings:
    """The listener, the public URL and the worker processes."""

    host: Annotated[str, Meta(description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="Port to listen on.")] = 8080
    workers: Annotated[int, Meta(ge=1, le=256, description="Number of worker processes.")] = 1
    public_url: Annotated[
        str,
        Meta(
            pattern="^(https?://[^/?#]+(/[^?#]*[^/?#])?)?$",
            extra_json_schema=expected(
                "a URL such as https://lrs.example.com, without a trailing slash"
            ),
            description=(
                "URL that clients use, without a trailing slash; also the issuer of access tokens. "
                "Empty: `http://` host `:` port."
            ),
        ),
    ] = ""
    trusted_proxies: Annotated[
        str,
        Meta(
            description=(
                "IP addresses or networks of proxies whose `X-Forwarded-*` headers are trusted, "
                "comma-separated."
            )
        ),
    ] = "127.0.0.1,::1"
    cors_origins: Annotated[
        str,
        Meta(
            pattern=r"^( *(\*|null|[a-z][a-z0-9+.-]*://[^/?#, ]+) *(,(?!$)|$))*$",
            extra_json_schema=expected(
                "origins such as https://courses.example.com, separated by commas, "
                "without a trailing slash"
            ),
            description=(
                "Origins that may send cross-origin requests, comma-separated; `*` for all. "
                "Empty: none."
            ),
        ),
    ] = "*"
    shutdown_timeout_seconds: Annotated[
        int,
        Meta(
            ge=0,
            description=(
                "Time in which the server ends after a stop signal; requests in progress have all "
                "of it but the last five seconds."
            ),
        ),
    ] = 30

    @property
    def base_url(self) -> str:
        """The public URL, or the one that this server listens on."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        host = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)  # noqa: S104
        return self.public_url or f"http://{host}:{self.port}"

    @property
    def base_path(self) -> str:
        """The path of the public URL, the prefix of all paths that clients see; often empty."""
        return urlsplit(self.public_url).path

    @property
    def is_public(self) -> bool:
        """Whether other machines may reach the server, by its address or its public URL."""
        public_host = urlsplit(self.public_url).hostname
        return not (is_loopback(self.host) and is_loopback(public_host or self.host))


def is_loopback(host: str) -> bool:
    """Whether the text is `localhost` or a loopback address, also one of IPv4 as IPv6 writes it."""
    try:
        address = ip_address(host)
    except ValueError:
        return host == "localhost"
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback
