"""JSON Web Key Sets (RFC 7517) of external issuers: fetched, cached, refreshed."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import orjson
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from lrs.errors import Unavailable

_log = logging.getLogger("lrs.auth")

_TIMEOUT_SECONDS = 5.0
_MAX_BYTES = 1_048_576

JWKS_ERRORS = (httpx.HTTPError, OSError, ValueError, TypeError, LookupError, JoseError)
"""What `fetch_jwks` raises if there is no document, or not a key set."""


@dataclass(frozen=True, slots=True)
class ExternalIssuer:
    """An issuer of access tokens beside this server; `jwks` is the URL or the path of its keys.

    `client_claim` names the claim with the key of a credential; empty: see `token_claims.client`.
    """

    issuer: str
    jwks: str
    audience: str
    client_claim: str = ""


class ExternalKeys:
    """Caches the keys of an external issuer.

    A known key is used for `max_age_seconds` before the key set is fetched again, so that a
    withdrawn key expires. An unknown key causes a fetch, but at most one in `min_refresh_seconds`.
    """

    def __init__(
        self,
        issuer: ExternalIssuer,
        *,
        max_age_seconds: float = 300.0,
        min_refresh_seconds: float = 10.0,
    ) -> None:
        self.issuer = issuer
        self._max_age_seconds = max_age_seconds
        self._min_refresh_seconds = min_refresh_seconds
        self._keys = KeySet([])
        self._fetched_at = float("-inf")
        self._is_unavailable = False
        self._fetching = asyncio.Lock()

    async def get(self, kid: object) -> KeySet:
        """The key set, refreshed if it is too old or has no key `kid`.

        Raises Unavailable if it cannot be fetched and no cached key has this id.
        """
        is_cached = any(kid in (key.kid, None) for key in self._keys.keys)
        if is_cached and time.monotonic() - self._fetched_at < self._max_age_seconds:
            return self._keys
        try:
            await self._refresh()
        except Unavailable as error:
            if not is_cached:
                raise
            _log.warning("%s The cached keys stay valid.", error.detail)
        return self._keys

    async def _refresh(self) -> None:
        async with self._fetching:
            if time.monotonic() - self._fetched_at < self._min_refresh_seconds:
                # Requests that waited for a failed fetch do not repeat it.
                if self._is_unavailable:
                    raise self._unavailable()
                return
            try:
                self._keys = await fetch_jwks(self.issuer.jwks)
                self._is_unavailable = False
            except JWKS_ERRORS as error:
                self._is_unavailable = True
                raise self._unavailable() from error
            finally:
                self._fetched_at = time.monotonic()

    def _unavailable(self) -> Unavailable:
        return Unavailable(
            f"Cannot read the keys of the issuer {self.issuer.issuer}.",
            headers={"Retry-After": "10"},
        )


async def fetch_jwks(location: str) -> KeySet:
    """The key set at a URL or path. Raises one of JWKS_ERRORS."""
    return KeySet.import_key_set(orjson.loads(await _read(location)))


async def _read(location: str) -> bytes:
    if not location.startswith(("http://", "https://")):
        return await asyncio.to_thread(Path(location).read_bytes)
    content = bytearray()
    async with (
        asyncio.timeout(_TIMEOUT_SECONDS),
        httpx.AsyncClient(timeout=_TIMEOUT_SECONDS) as client,
        client.stream("GET", location) as response,
    ):
        async for part in response.raise_for_status().aiter_bytes():
            content += part
            if len(content) > _MAX_BYTES:
                raise ValueError(f"the key set has more than {_MAX_BYTES} bytes")
    return bytes(content)
