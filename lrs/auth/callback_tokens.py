"""Who reports through a callback: the launch that the URL's token names, signed for by its tool."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from lrs.auth.oauth1 import SignedRequest, is_timely, verify
from lrs.auth.secret_box import SecretBox
from lrs.errors import NotFound, Unauthorized
from lrs.store import tools
from lrs.store.nonces import Nonce, NonceReused
from lrs.store.postgres import Database
from lrs.store.tools import Tool
from lrs.xapi import canvas_launches
from lrs.xapi.canvas_launches import Launch

NO_SUCH_TOOL = "The specified resource does not exist."
INVALID_TOKEN = "Invalid analytics service token"  # noqa: S105

_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Reporter:
    """A launch, and the tool that reports on it, with the secrets that it may sign with."""

    launch: Launch
    tool: Tool
    secrets: Sequence[str]


class CallbackTokens:
    """Issues callback tokens, and finds out what a token and a signature prove.

    `ttl_seconds` is how long a token is good, in seconds; 0 is for ever.
    """

    def __init__(
        self,
        database: Database,
        secret_box: SecretBox,
        *,
        ttl_seconds: int,
        require_body_hash: bool,
        cache_seconds: float,
    ) -> None:
        self._database = database
        self._lifetime = ttl_seconds
        self._secret_box = secret_box
        self._key = secret_box.derive_key("callback token")
        self._require_body_hash = require_body_hash
        self._cache_seconds = cache_seconds
        self._known: dict[tuple[str, str], tuple[float, Tool, Sequence[str]]] = {}

    def token(self, partner: str, tool: str, user: str, course: str) -> str:
        """A token for one launch, another one each time."""
        salt = secrets.token_urlsafe(9)
        launch = Launch(partner, tool, user, course, int(time.time()), salt)
        return canvas_launches.sign_token(launch, self._key)

    def expires_at(self, issued_at: datetime) -> datetime | None:
        return issued_at + timedelta(seconds=self._lifetime) if self._lifetime else None

    async def reporter(self, token: str) -> Reporter:
        """What a token stands for. Raises NotFound, then Unauthorized."""
        launch = canvas_launches.parse_token(token)
        known = await self._find(launch.partner, launch.tool) if launch else None
        if launch is None or known is None:
            raise NotFound(NO_SUCH_TOOL)
        if not canvas_launches.is_signed(token, self._key) or self._is_old(launch):
            raise Unauthorized(INVALID_TOKEN)
        return Reporter(launch, *known)

    def nonce(self, who: Reporter, request: SignedRequest) -> Nonce:
        """The nonce of a request that the tool has signed a short time ago. Raises Unauthorized."""
        signed = verify(
            request,
            who.tool.consumer_key,
            who.secrets,
            require_body_hash=self._require_body_hash,
        )
        if not is_timely(signed.timestamp, int(time.time())):
            raise NonceReused
        return Nonce.of(who.tool.name, signed.nonce)

    def _is_old(self, launch: Launch) -> bool:
        return bool(self._lifetime) and time.time() > launch.issued_at + self._lifetime

    async def _find(self, partner: str, name: str) -> tuple[Tool, Sequence[str]] | None:
        known = self._known.get((partner, name))
        if known and known[0] > time.monotonic():
            return known[1:]
        found = await tools.find_tool(self._database, partner, name)
        if found is None or found.revoked_at:
            return None
        sealed = found.encrypted_secrets(datetime.now(UTC))
        opened = [self._secret_box.decrypt(each).decode() for each in sealed]
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[partner, name] = (time.monotonic() + self._cache_seconds, found, opened)
        return found, opened
