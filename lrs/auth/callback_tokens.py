"""Callback tokens: the token in a callback URL names a launch; its tool signs the requests."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from lrs.auth import oauth1
from lrs.auth.oauth1 import OAuthSignature, SignedRequest
from lrs.auth.secret_box import SecretBox
from lrs.errors import NotFound, Unauthorized
from lrs.ingest.model import SignedCallback
from lrs.limits.model import Subject
from lrs.limits.services import LimitServices
from lrs.store import tools
from lrs.store.nonces import Nonce, NonceReused
from lrs.store.postgres import Database
from lrs.store.registry import NO_OVERRIDES
from lrs.store.tools import Tool
from lrs.xapi import canvas_launches
from lrs.xapi.canvas_launches import Launch

NO_SUCH_TOOL = "The specified resource does not exist."
INVALID_TOKEN = "Invalid analytics service token"  # noqa: S105

_MAX_CACHED_TOOLS = 10_000


class CallbackTokens:
    """Issues callback tokens and authenticates the requests to callback URLs.

    `ttl_seconds` is the lifetime of a token; 0 means that it does not expire. A tool and its
    secrets are cached for `cache_seconds`.
    """

    def __init__(
        self,
        database: Database,
        secret_box: SecretBox,
        limits: LimitServices,
        *,
        ttl_seconds: int,
        require_body_hash: bool,
        cache_seconds: float,
    ) -> None:
        self._database = database
        self._failure_throttle = limits.failures
        self._default_limits = limits.default
        self._ttl_seconds = ttl_seconds
        self._secret_box = secret_box
        self._signing_keys = secret_box.derive_keys("callback token")
        self._require_body_hash = require_body_hash
        self._cache_seconds = cache_seconds
        self._tool_cache: dict[tuple[str, str], tuple[float, Tool, Sequence[str]]] = {}

    def issue(self, partner: str, tool: str, user: str, course: str) -> str:
        """A token for one launch; a salt makes every token unique."""
        salt = secrets.token_urlsafe(9)
        launch = Launch(partner, tool, user, course, int(time.time()), salt)
        return canvas_launches.sign_token(launch, self._signing_keys[0])

    def expires_at(self, issued_at: datetime) -> datetime | None:
        """When a token issued at that time expires, if ever."""
        return issued_at + timedelta(seconds=self._ttl_seconds) if self._ttl_seconds else None

    def signed_launch(self, token: str) -> Launch | None:
        """The launch of a token that this server issued; None if it is forged or expired."""
        launch = canvas_launches.parse_token(token)
        if launch is None or self._is_expired(launch):
            return None
        return launch if self._is_signed(token) else None

    async def authenticate(
        self, token: str, request: SignedRequest, address: str
    ) -> SignedCallback:
        """Verifies the token, then the signature of its tool; `address` is that of the client.

        Raises NotFound (malformed token, removed or revoked tool), Unauthorized (forged or expired
        token, wrong signature or timestamp), TooManyRequests (failed authentications) and
        NonceReused (timestamp older than retained nonces).
        """
        # A forged token counts for its address only, and its tool is not looked up: the response
        # must not tell which partners and tools exist.
        launch = self.signed_launch(token)
        key = f"tool {launch.partner}/{launch.tool}" if launch else None
        self._failure_throttle.check(address, key)
        try:
            if launch is None:
                raise _refusal(token)
            tool, signature = await self._verify(launch, request)
        except (NotFound, Unauthorized):
            self._failure_throttle.failed(address, key)
            raise
        self._failure_throttle.succeeded(f"tool {launch.partner}/{launch.tool}")
        if not oauth1.is_nonce_retained(signature.timestamp, int(time.time())):
            raise NonceReused
        nonce = Nonce.of(tool.name, signature.nonce)
        return SignedCallback(launch, tool, nonce, signature.timestamp, self._subjects(tool))

    async def _verify(self, launch: Launch, request: SignedRequest) -> tuple[Tool, OAuthSignature]:
        cached = await self._tool(launch.partner, launch.tool)
        if cached is None:
            raise NotFound(NO_SUCH_TOOL)
        tool, shared_secrets = cached
        signature = oauth1.verify(
            request,
            tool.consumer_key,
            shared_secrets,
            require_body_hash=self._require_body_hash,
        )
        return tool, signature

    def _subjects(self, tool: Tool) -> tuple[Subject, ...]:
        """Whose limits apply: those of the partner, and of the tool like those of a credential."""
        return self._default_limits.subjects(
            tool.partner_id, f"tool {tool.name}", tool.partner_limits, NO_OVERRIDES
        )

    def _is_signed(self, token: str) -> bool:
        return any(canvas_launches.is_signed(token, key) for key in self._signing_keys)

    def _is_expired(self, launch: Launch) -> bool:
        return bool(self._ttl_seconds) and time.time() > launch.issued_at + self._ttl_seconds

    async def _tool(self, partner: str, name: str) -> tuple[Tool, Sequence[str]] | None:
        """The tool with its decrypted secrets; None if it does not exist or is revoked."""
        cached = self._tool_cache.get((partner, name))
        if cached and cached[0] > time.monotonic():
            return cached[1:]
        tool = await tools.find_tool(self._database, partner, name)
        if tool is None or tool.revoked_at:
            return None
        encrypted = tool.encrypted_secrets(datetime.now(UTC))
        shared_secrets = [self._secret_box.decrypt(secret).decode() for secret in encrypted]
        if len(self._tool_cache) >= _MAX_CACHED_TOOLS:
            self._tool_cache.clear()
        expires_at = time.monotonic() + self._cache_seconds
        self._tool_cache[partner, name] = (expires_at, tool, shared_secrets)
        return tool, shared_secrets


def _refusal(token: str) -> NotFound | Unauthorized:
    """The error for a token without a signed launch."""
    if canvas_launches.parse_token(token) is None:
        return NotFound(NO_SUCH_TOOL)
    return Unauthorized(INVALID_TOKEN)
