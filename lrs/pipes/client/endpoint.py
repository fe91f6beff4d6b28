"""The HTTP client of a pipe: authenticates, stays at the configured origin, bounds what it reads.

Credentials are sent to the configured scheme, host and port only. Redirects are followed within
that origin.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

import httpx

from lrs import __version__
from lrs.pipes.client.address_rules import AddressRules, CheckedTransport
from lrs.pipes.client.origins import origin_of
from lrs.pipes.client.responses import Response, fetch
from lrs.pipes.options import Basic, Bearer, Credentials, OAuth2

Result = TypeVar("Result")

MAX_RESPONSE_BYTES = 134_217_728

_TIMEOUT = httpx.Timeout(60.0, connect=10.0)
MAX_REQUEST_SECONDS = 300.0
"""From the connection to the end of the body."""
_MAX_REDIRECTS = 5
_REPEATED = frozenset({307, 308})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TOKEN_MARGIN_SECONDS = 30.0
_MAX_TOKEN_BYTES = 65_536


class TokenRefused(httpx.HTTPError):
    """The token endpoint issues no access token."""


class Endpoint:
    """A configured URL with its credentials. `requests` counts the requests by status.

    `max_bytes` bounds each response that it reads, `max_seconds` the time of each request.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        url: str,
        credentials: Credentials,
        max_bytes: int = MAX_RESPONSE_BYTES,
        max_seconds: float = MAX_REQUEST_SECONDS,
    ) -> None:
        self.url = url
        self.credentials = credentials
        self.max_bytes = max_bytes
        self.requests: Counter[str] = Counter()
        self._client = client
        self._max_seconds = max_seconds
        self._token = ""
        self._token_expires_at = 0.0
        self._lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        """Runs a request in the background; it is cancelled when the endpoint is closed."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finish)
        return task

    def _finish(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # retrieved: the step may have failed before it waits for the task

    async def close(self) -> None:
        """Cancels what runs in the background."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return origin_of(self.url)

    def resolve(self, reference: str, page_url: str | None = None) -> str:
        """The URL of a reference, such as `more`, at the configured scheme, host and port.

        It is relative to the URL of the page that has it, or else to the configured one.

        A reference to another host keeps its path and query only. Raises ValueError.
        """
        parts = urlsplit(urljoin(page_url or self.url, reference))
        base = urlsplit(self.url)
        return parts._replace(scheme=base.scheme, netloc=base.netloc, fragment="").geturl()

    async def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        max_bytes: int = MAX_RESPONSE_BYTES,
    ) -> Response:
        """The response, after redirects within the origin; its status may be an error.

        Requests wait for each other: there is one at a time. With OAuth2, 401 is answered with a
        new token, once. Raises httpx.HTTPError; ValueError if
        the URL is not at the configured origin.
        """
        if origin_of(url) != self.origin:
            raise ValueError(f"{url} is not at {self.origin}")
        if params:
            url = str(httpx.URL(url).copy_merge_params(dict(params)))
        async with self._lock:
            response = await self._request(method, url, headers, content, max_bytes)
            if response.status == 401 and isinstance(self.credentials, OAuth2):
                self._token = ""
                response = await self._request(method, url, headers, content, max_bytes)
        return response

    async def _request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        content: bytes | None,
        max_bytes: int,
    ) -> Response:
        for _ in range(_MAX_REDIRECTS):
            authorization = await self._authorization()
            response = await self._send(
                method, url, {**(headers or {}), **authorization}, content, max_bytes
            )
            location = response.headers.get("location")
            if response.status not in _REDIRECTS or not location:
                return response
            if method not in ("GET", "HEAD") and response.status not in _REPEATED:
                return response
            target = urljoin(url, location)
            if origin_of(target) != self.origin:
                raise httpx.RemoteProtocolError(
                    f"{origin_of(url)} redirects to another origin, {origin_of(target)}."
                )
            url = target
        raise httpx.TooManyRedirects(f"{url} redirects more than {_MAX_REDIRECTS} times.")

    async def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: bytes | None,
        max_bytes: int,
    ) -> Response:
        try:
            limit = min(max_bytes, self.max_bytes)
            response = await fetch(
                self._client, method, url, limit, self._max_seconds,
                headers=headers, content=content,
            )  # fmt: skip
        except (httpx.HTTPError, TimeoutError):
            self.requests["error"] += 1
            raise
        self.requests[str(response.status)] += 1
        return response

    async def _authorization(self) -> dict[str, str]:
        credentials = self.credentials
        if isinstance(credentials, Basic):
            return {"Authorization": _basic(credentials.key, credentials.secret)}
        if isinstance(credentials, Bearer):
            return {"Authorization": f"Bearer {credentials.token}"}
        if isinstance(credentials, OAuth2):
            if not self._token or time.monotonic() >= self._token_expires_at:
                await self._fetch_token(credentials)
            return {"Authorization": f"Bearer {self._token}"}
        return {}

    async def _fetch_token(self, credentials: OAuth2) -> None:
        """Requests a token, with the credentials in the header, or else in the body."""
        form = {"grant_type": "client_credentials"}
        if credentials.scope:
            form["scope"] = credentials.scope
        response = await self._post_token(
            credentials.token_url, form, _basic(credentials.key, credentials.secret)
        )
        if response.status in (400, 401):
            form |= {"client_id": credentials.key, "client_secret": credentials.secret}
            response = await self._post_token(credentials.token_url, form, None)
        try:
            content = response.json()
            token, seconds = content["access_token"], float(content.get("expires_in") or 3600)
        except (ValueError, TypeError, KeyError, AttributeError):
            token, seconds = None, 0.0
        if response.status != 200 or not isinstance(token, str) or not token.isprintable():
            raise TokenRefused(
                f"{credentials.token_url} returns {response.status} and no access token: "
                f"{response.excerpt(200)}"
            )
        self._token = token
        self._token_expires_at = time.monotonic() + max(seconds - _TOKEN_MARGIN_SECONDS, 5.0)

    async def _post_token(self, url: str, form: dict[str, str], basic: str | None) -> Response:
        headers = {"Accept": "application/json"} | ({"Authorization": basic} if basic else {})
        return await fetch(
            self._client, "POST", url, _MAX_TOKEN_BYTES, self._max_seconds,
            headers=headers, data=form,
        )  # fmt: skip


@asynccontextmanager
async def open_endpoint(
    url: str,
    credentials: Credentials,
    rules: AddressRules,
    *,
    max_bytes: int = MAX_RESPONSE_BYTES,
    max_seconds: float = MAX_REQUEST_SECONDS,
) -> AsyncIterator[Endpoint]:
    """An endpoint with connections of its own, which are closed at the end."""
    async with httpx.AsyncClient(
        transport=CheckedTransport(rules),
        timeout=_TIMEOUT,
        trust_env=False,
        follow_redirects=False,
        headers={"User-Agent": f"lrs/{__version__}", "Accept-Encoding": _encodings(url)},
    ) as client:
        endpoint = Endpoint(client, url, credentials, max_bytes, max_seconds)
        try:
            yield endpoint
        finally:
            await endpoint.close()


def _encodings(url: str) -> str:
    """What Accept-Encoding says: on the same machine, compression costs more than it saves."""
    host = urlsplit(url).hostname or ""
    is_local = host == "localhost" or host == "::1" or host.startswith("127.")
    return "identity" if is_local else "gzip"


def _basic(key: str, secret: str) -> str:
    return str(httpx.BasicAuth(key, secret)._auth_header)
