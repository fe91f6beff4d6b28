"""Keys that sign access tokens: in the database, the private half encrypted, loaded by all workers.

A new key is published and verifies tokens as soon as a server has loaded it. It signs only after
`activation_seconds`: then all servers and the clients that cache the key set have it. A retired key
neither signs nor verifies. Every worker loads the keys again after `RELOAD_SECONDS`, which bounds
the time until a rotation or a retirement takes effect.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from typing import Any

import orjson
from joserfc.jwk import KeySet, RSAKey

from lrs.auth.secret_box import SecretBox, WrongSecretKey
from lrs.errors import Conflict, LRSError, NotFound, OperatorError
from lrs.store import signing_keys as store
from lrs.store.postgres import Database
from lrs.store.signing_keys import SigningKey

_log = logging.getLogger("lrs.auth")

ALGORITHM = "RS256"

RELOAD_SECONDS = 10.0
CACHE_SECONDS = 30
"""The lifetime of the published key set in caches of clients."""
ACTIVATION_SECONDS = RELOAD_SECONDS + CACHE_SECONDS

_MIN_RELOAD_SECONDS = 1.0


class SigningKeys:
    """The signing keys of one process."""

    def __init__(
        self,
        database: Database,
        secret_box: SecretBox,
        *,
        activation_seconds: float = ACTIVATION_SECONDS,
    ) -> None:
        self._database = database
        self._secret_box = secret_box
        self._activation_seconds = activation_seconds
        self._loaded_at = float("-inf")
        self._loading = asyncio.Lock()
        self.key_set = KeySet([])

    @property
    def newest(self) -> RSAKey:
        """The key that signs."""
        key = self.key_set.keys[0]
        assert isinstance(key, RSAKey)  # noqa: S101 - `load` imports no others
        return key

    def public_keys(self) -> dict[str, Any]:
        """The JWK Set (RFC 7517) with which clients verify tokens of this server."""
        usage = {"use": "sig", "alg": ALGORITHM}
        return {"keys": [{**key.as_dict(private=False), **usage} for key in self.key_set.keys]}

    async def load(self) -> None:
        """Loads the keys; creates the first one. Raises WrongSecretKey and Unavailable."""
        stored = await self._list_active()
        if not stored:
            await store.add_first_key(self._database, new_key(self._secret_box))
            stored = await self._list_active()
        loaded = {key.kid: key for key in self.key_set.keys}
        self.key_set = KeySet(
            [loaded.get(key.kid) or _decrypt(key, self._secret_box) for key in stored]
        )

    async def _list_active(self) -> list[SigningKey]:
        self._loaded_at = time.monotonic()
        return await store.list_active_keys(self._database, self._activation_seconds)

    async def reload_if_unknown(self, kid: object) -> None:
        """Loads a key that was added after the last load; at most one load per second."""
        if self._is_loaded(kid):
            return
        async with self._loading:
            is_throttled = time.monotonic() - self._loaded_at < _MIN_RELOAD_SECONDS
            if not (self._is_loaded(kid) or is_throttled):
                await self.load()

    def _is_loaded(self, kid: object) -> bool:
        return any(key.kid == kid for key in self.key_set.keys)

    async def reload_periodically(self, interval: float = RELOAD_SECONDS) -> None:
        """Loads the keys until cancelled; logs the first of consecutive failures."""
        is_failing = False
        while True:
            await asyncio.sleep(interval)
            try:
                async with self._loading:
                    await self.load()
            except (LRSError, OperatorError) as error:
                if not is_failing:
                    _log.warning("signing keys are not reloaded", exc_info=error)
                is_failing = True
            else:
                is_failing = False


def new_key(secret_box: SecretBox) -> SigningKey:
    """A new RSA key, its private half encrypted."""
    # Hexadecimal: command line tools parse a leading "-" as an option.
    key = RSAKey.generate_key(2048, {"kid": secrets.token_hex(12)})
    private = orjson.dumps(key.as_dict(private=True))
    public = orjson.dumps(key.as_dict(private=False)).decode()
    return SigningKey(str(key.kid), secret_box.encrypt(private), public)


def _decrypt(stored: SigningKey, secret_box: SecretBox) -> RSAKey:
    try:
        private = secret_box.decrypt(stored.private_jwe)
    except WrongSecretKey:
        raise WrongSecretKey(
            "The signing keys in the database are encrypted with another secret key."
        ) from None
    return RSAKey.import_key(orjson.loads(private), {"kid": stored.kid})


async def rotate(database: Database, secret_box: SecretBox) -> str:
    """Adds a key, which signs after ACTIVATION_SECONDS. Returns its id.

    Raises WrongSecretKey: servers could not decrypt a key that is encrypted with another secret
    key than the present ones.
    """
    await SigningKeys(database, secret_box).load()
    key = new_key(secret_box)
    await store.add_key(database, key)
    return key.kid


async def retire(database: Database, kid: str) -> None:
    """Retires a key: its tokens become invalid. Raises NotFound, and Conflict (the only key)."""
    if kid.isascii() and kid.isprintable() and await store.retire_key(database, kid):
        return
    if kid in {key.kid for key in await store.list_active_keys(database, 0)}:
        raise Conflict(f"{kid} is the only signing key: run `lrs keys rotate` first.")
    raise NotFound(f"Signing key {kid!r} not found, or retired.")
