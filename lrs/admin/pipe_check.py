"""The use case of testing the other LRS of a pipe, from a server that has other work."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from lrs.admin.pipes import get_pipe, require_endpoint
from lrs.auth.operators import Operator
from lrs.auth.secret_box import SecretBox, WrongSecretKey
from lrs.errors import Conflict, TooManyRequests
from lrs.ingest.model import Outcome
from lrs.pipes import options
from lrs.pipes.check import Finding, check
from lrs.pipes.client.address_rules import AddressRules
from lrs.pipes.client.endpoint import open_endpoint
from lrs.pipes.options import Credentials
from lrs.pipes.pull.items import ItemStore, SourceItem
from lrs.store.pipes import Pipe
from lrs.store.postgres import Database
from lrs.threads import run_in_own_loop

MAX_SECONDS = 20.0
MAX_CHECKS = 2
"""At the same time in one worker."""

_MAX_RESPONSE_BYTES = 16_777_216


class PipeChecks:
    """Tests pipes in a thread; one instance per worker."""

    def __init__(self, rules: AddressRules, item_store: ItemStore) -> None:
        self._rules = rules
        self._item_store = item_store
        self._running = 0

    async def check_pipe(
        self,
        database: Database,
        operator: Operator,
        secret_box: SecretBox,
        partner: str,
        name: str,
        max_seconds: float = MAX_SECONDS,
    ) -> list[Finding]:
        """What the other LRS answers, within some seconds. Nothing is stored or sent.

        Raises NotFound, Forbidden, Conflict, and TooManyRequests beyond MAX_CHECKS.
        """
        operator.require("operator")
        pipe = await get_pipe(database, operator, partner, name)
        require_endpoint(pipe)
        try:
            credentials = options.decode_credentials(secret_box.decrypt(pipe.credentials_jwe))
        except WrongSecretKey:
            raise Conflict(
                "The credentials of the pipe are encrypted with another secret key: set them again."
            ) from None
        if self._running >= MAX_CHECKS:
            raise TooManyRequests(
                f"{MAX_CHECKS} pipes are being tested.", headers={"Retry-After": "5"}
            )
        self._running += 1
        try:
            return await self._check(pipe, credentials, max_seconds)
        finally:
            self._running -= 1

    async def _check(
        self, pipe: Pipe, credentials: Credentials, max_seconds: float
    ) -> list[Finding]:
        own_loop = asyncio.get_running_loop()

        async def preview(items: Sequence[SourceItem]) -> list[Outcome]:
            # The pipeline and its connections belong to the event loop of the server.
            outcomes = self._item_store.preview(pipe, items)
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(outcomes, own_loop))

        async def run() -> list[Finding]:
            findings: list[Finding] = []
            try:
                async with (
                    asyncio.timeout(max_seconds),
                    open_endpoint(
                        pipe.url, credentials, self._rules, max_bytes=_MAX_RESPONSE_BYTES
                    ) as endpoint,
                ):
                    async for finding in check(pipe, endpoint, self._rules, preview):
                        findings.append(finding)  # noqa: PERF401 - kept after a timeout
            except TimeoutError:
                text = f"The test ended after {max_seconds:.0f} s; the rest is not checked."
                findings.append(Finding("time limit", False, text))
            return findings

        return await run_in_own_loop(run)
