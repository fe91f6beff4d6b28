"""Callback tokens: the token in a callback URL names a launch; its tool signs the requests.

A token is the key of a row with the launch. Earlier versions issued signed tokens that contain the
launch; these stay valid.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from lrs.auth import oauth1, opaque_tokens
from lrs.auth.authenticate import disabled
from lrs.auth.oauth1 import OAuthSignature, SignedRequest
from lrs.auth.secret_box import SecretBox
from lrs.errors import NotFound, Unauthorized
from lrs.ingest.model import SignedCallback
from lrs.limits.model import Subject
from lrs.limits.services import LimitServices
from lrs.store import callback_tokens, tools
from lrs.store.callback_tokens import LaunchLoader
from lrs.store.nonces import Nonce, NonceReused
from lrs.store.postgres import Database
from lrs.store.registry import NO_OVERRIDES
from lrs.store.tools import Tool
from lrs.xapi import canvas_launches
from lrs.xapi.canvas_launches import Launch

NO_SUCH_TOOL = "The specified resource does not exist."
INVALID_TOKEN = "Invalid analytics service token"  # noqa: S105

_MAX_CACHED_TOOLS = 10_000
_MAX_CACHED_LAUNCHES = 50_000


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
        self._keys = secret_box.derive_keys("opaque callback token")
        self._signing_keys = secret_box.derive_keys("callback token")
        self._launches = LaunchLoader(database, max_entries=_MAX_CACHED_LAUNCHES)
        self._require_body_hash = require_body_hash
        self._cache_seconds = cache_seconds
        self._tool_cache: dict[tuple[str, str], tuple[float, Tool, Sequence[str]]] = {}

    async def issue(self, tool: Tool, user: str, course: str) -> str:
        """The token of a launch: the same for equal ones, whose lifetime restarts.

        Raises Unavailable.
        """
        key = opaque_tokens.token_key(tool.partner_id, tool.name, user, course)
        await callback_tokens.issue(self._database, key, tool.name, user, course)
        return opaque_tokens.encode(key, self._keys[0])

    def expires_at(self, issued_at: datetime) -> datetime | None:
        """When a token issued at that time expires, if ever."""
        return issued_at + timedelta(seconds=self._ttl_seconds) if self._ttl_seconds else None

    async def find_launch(self, token: str) -> Launch | NotFound | Unauthorized:
        """The launch of a token that this server issued, or the error for the token.

        Raises Unavailable.
        """
        try:
            key = opaque_tokens.decode(token, self._keys)
        except opaque_tokens.NotSigned:
            return Unauthorized(INVALID_TOKEN)
        if key is None:
            launch = canvas_launches.parse_token(token)
            is_signed = launch is not None and self._is_signed(token)
        else:
            launch = await self._launches.load(key, self._issued_since())
            is_signed = True
        if launch is None:
            return NotFound(NO_SUCH_TOOL)
        if not is_signed or launch.issued_at < self._issued_since():
            return Unauthorized(INVALID_TOKEN)
        return launch

    async def authenticate(
        self,
        lookup: Launch | NotFound | Unauthorized,
        request: SignedRequest,
        address: str,
    ) -> SignedCallback:
        """Verifies the signature of the tool; `lookup` is the result of `find_launch`.

        `address` is that of the client. Raises NotFound (malformed or deleted token, revoked tool),
        Unauthorized (forged or expired token, wrong signature or timestamp), TooManyRequests
        (failed authentications) and NonceReused (timestamp older than retained nonces).
        """
        # A forged token counts for its address only, and its tool is not looked up: the response
        # must not tell which partners and tools exist.
        launch = lookup if isinstance(lookup, Launch) else None
        key = f"tool {launch.partner}/{launch.tool}" if launch else None
        self._failure_throttle.check(address, key)
        try:
            if not isinstance(lookup, Launch):
                raise lookup
            launch = lookup
            tool, signature = await self._verify(launch, request)
        except (NotFound, Unauthorized):
            self._failure_throttle.failed(address, key)
            raise
        self._failure_throttle.succeeded(f"tool {launch.partner}/{launch.tool}")
        if tool.partner_disabled_reason is not None:
            raise disabled(tool.partner, tool.partner_disabled_reason)
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

    def _issued_since(self) -> float:
        """Seconds since 1970; a token issued before has expired."""
        return time.time() - self._ttl_seconds if self._ttl_seconds else 0

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
