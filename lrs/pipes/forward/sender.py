"""Sends statements to the target of a pipe, in the form that it takes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from lrs.pipes.client.endpoint import Endpoint
from lrs.pipes.forward import payloads, target
from lrs.pipes.forward.answers import Answer
from lrs.pipes.forward.cursor import ForwardCursor
from lrs.pipes.forward.payloads import ForwardItem, ForwardRequest
from lrs.pipes.forward.target import UNKNOWN, Target
from lrs.pipes.identity import HEADER
from lrs.pipes.options import ForwardFilter, ForwardOptions, Signed
from lrs.projection.vocabulary import Vocabulary
from lrs.store.pipes import Pipe
from lrs.store.postgres import Database
from lrs.store.statements import attachments
from lrs.store.statements.log_page import LoggedStatement

_MAX_ATTACHMENT_BYTES = 16_777_216
"""Of a request. A statement with more is sent alone."""


@dataclass(frozen=True, slots=True)
class ForwardStep:
    """A step: the pipe with its options, its position and its target.

    `identity` is that of the partner, which requests with statements name.
    """

    pipe: Pipe
    endpoint: Endpoint
    options: ForwardOptions
    chosen: ForwardFilter
    cursor: ForwardCursor
    url: str
    target: Target = UNKNOWN
    identity: str | None = None

    @property
    def is_webhook(self) -> bool:
        return self.options.target == "webhook"


class Sender:
    """Makes items of statements, and requests of items."""

    def __init__(self, database: Database, vocabulary: Vocabulary) -> None:
        self._database = database
        self._vocabulary = vocabulary

    def item(self, step: ForwardStep, logged: LoggedStatement) -> ForwardItem:
        """What is sent of a statement."""
        if step.options.target == "track":
            return payloads.track_item(logged, self._vocabulary)
        if step.options.target == "webhook":
            return payloads.webhook_item(logged)
        return payloads.statement_item(logged, step.target.versions, strip=step.options.strip)

    async def send(
        self, step: ForwardStep, items: Sequence[ForwardItem]
    ) -> tuple[Sequence[ForwardItem], Answer]:
        """Sends the items, or as many of them as their attachments allow; returns those."""
        if step.options.target == "track":
            answer = await target.send(step.endpoint, step.url, payloads.track_request(items[0]))
            # A duplicate event is delivered already: see the vendor's table of errors.
            return items, replace(answer, status=200) if answer.status == 409 else answer
        if step.is_webhook:
            answer = await target.send(step.endpoint, step.url, _webhook_request(step, items))
            return items, replace(answer, status=400) if answer.status == 409 else answer
        items, contents = await self._attachments(step.pipe.partner_id, items)
        request = payloads.statements_request(items, step.target.versions, contents)
        if step.identity:
            request = replace(request, headers={**request.headers, HEADER: step.identity})
        return items, await target.send(step.endpoint, step.url, request)

    async def _attachments(
        self, partner_id: int, items: Sequence[ForwardItem]
    ) -> tuple[Sequence[ForwardItem], dict[str, bytes]]:
        """The first items whose attachments fit into a request, and the contents by SHA-2."""
        hashes = list(dict.fromkeys(sha2 for item in items for sha2, _ in item.attachments))
        if not hashes:
            return items, {}
        sizes = await attachments.list_sizes(self._database, partner_id, hashes)
        fitting: dict[bytes, int] = {}
        count = 0
        for item in items:
            own = {bytes.fromhex(sha2) for sha2, _ in item.attachments}
            fitting.update({sha2: sizes[sha2] for sha2 in own if sha2 in sizes})
            if count and sum(fitting.values()) > _MAX_ATTACHMENT_BYTES:
                fitting = {sha2: size for sha2, size in fitting.items() if sha2 not in own}
                break
            count += 1
        chunks = attachments.stream_contents(self._database, partner_id, fitting)
        return items[:count], {sha2: content async for sha2, content in chunks}


def _webhook_request(step: ForwardStep, items: Sequence[ForwardItem]) -> ForwardRequest:
    credentials = step.endpoint.credentials
    secret = credentials.secret if isinstance(credentials, Signed) else None
    pipe = f"{step.pipe.partner}/{step.pipe.name}"
    return payloads.webhook_request(items, secret, pipe, int(time.time()))
