"""The direction that sends statements to another LRS, a track endpoint or a webhook.

The statements of the partner below the watermark are the log: a step reads the next ones after the
cursor, sends at most one request with them, and returns the cursor behind those that are settled
(`lrs.pipes.forward.delivery`). A step that is repeated after a crash sends the same statements
again, and their ids make them duplicates at the target.

Statements that the target is the source of are not sent: those that were pulled from it, and those
that a pipe of it has sent (`lrs.pipes.identity`). Two LRSs that forward to each other come to rest:
what one sends back all the same is a duplicate in the other, and no new statement.
"""

from __future__ import annotations

import random
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from uuid import UUID

import msgspec

from lrs.pipes import identity
from lrs.pipes.client.endpoint import Endpoint
from lrs.pipes.forward import letter_limits, target
from lrs.pipes.forward.answers import Answer, classify, unlisted
from lrs.pipes.forward.cursor import ForwardCursor, dump_cursor, load_cursor
from lrs.pipes.forward.delivery import Backoff, Decision, next_request, settle
from lrs.pipes.forward.log_reader import LogReader, LogSlice
from lrs.pipes.forward.payloads import ForwardItem
from lrs.pipes.forward.sender import ForwardStep, Sender
from lrs.pipes.forward.target import UNKNOWN, Target
from lrs.pipes.model import Json, StepResult
from lrs.pipes.options import ForwardFilter, ForwardOptions, decode
from lrs.projection.vocabulary import Vocabulary
from lrs.store import dead_letters, registry
from lrs.store.dead_letters import DeadLetter
from lrs.store.pipes import Pipe
from lrs.store.postgres import Database
from lrs.store.statements.log_page import LoggedStatement
from lrs.store.statements.lookup import StatementLoader
from lrs.store.statements.sequence import stored_at

_TARGET_TTL_SECONDS = 600.0
_LETTERS_SECONDS = 1.0
_ERRORS = frozenset({"denied", "unavailable", "slow", "error"})


class ForwardDirection:
    """Forwards statements. `backoff` has the pauses after answers that settle nothing."""

    def __init__(
        self, database: Database, vocabulary: Vocabulary, *, backoff: Backoff | None = None
    ) -> None:
        self._database = database
        self._backoff = backoff or Backoff()
        self._statements = StatementLoader(database)
        self._sender = Sender(database, vocabulary)
        self._reader = LogReader(database, self._sender)
        self._letters_due: dict[tuple[int, str], float] = {}
        self._targets: dict[tuple[int, str, int], tuple[float, Target, str]] = {}

    async def step(self, pipe: Pipe, endpoint: Endpoint) -> StepResult:
        """Sends a dead letter to be retried, or else the next statements.

        Raises httpx.HTTPError and LRSError, after which nothing is settled.
        """
        options = decode(ForwardOptions, pipe.options)
        is_statements = options.target == "statements"
        description, identity_of_partner = UNKNOWN, None
        if is_statements:
            description, identity_of_partner = await self._target(pipe, endpoint)
        step = ForwardStep(
            pipe,
            endpoint,
            options,
            decode(ForwardFilter, pipe.filter, "filter"),
            load_cursor(pipe, options.start, datetime.now(UTC)),
            target.statements_url(pipe.url) if is_statements else pipe.url,
            description,
            identity_of_partner,
        )
        if letter := await self._letter_to_retry(pipe):
            return await self._retry(step, letter)
        log_slice = await self._reader.read(step)
        if log_slice is not None:
            return await self._forward(step, log_slice)
        self._letters_due.clear()
        if letter := await self._letter_to_retry(pipe):
            return await self._retry(step, letter)
        return StepResult(
            dump_cursor(step.cursor),
            wait_seconds=options.every,
            position_at=await self._reader.watermark(pipe.partner_id),
        )

    async def _letter_to_retry(self, pipe: Pipe) -> DeadLetter | None:
        """The next dead letter to be retried; looked for once a second while there is none."""
        key = pipe.partner_id, pipe.name
        if time.monotonic() < self._letters_due.get(key, 0.0):
            return None
        if letters := await dead_letters.list_letters_to_retry(
            self._database, pipe.partner_id, pipe.name, 1
        ):
            return letters[0]
        self._letters_due[key] = time.monotonic() + _LETTERS_SECONDS
        return None

    async def _target(self, pipe: Pipe, endpoint: Endpoint) -> tuple[Target, str]:
        """What the target says of itself, and the identity of the partner."""
        key = pipe.partner_id, pipe.name, pipe.config_version
        expires_at, description, own = self._targets.get(key, (0.0, UNKNOWN, ""))
        if time.monotonic() >= expires_at:
            own = identity.of_partner(await registry.get_partner(self._database, pipe.partner))
            description = await target.examine(endpoint, own)
            if pipe.version != "auto":
                description = replace(description, versions=(pipe.version,))
            self._targets[key] = time.monotonic() + _TARGET_TTL_SECONDS, description, own
        return description, own

    async def _forward(self, step: ForwardStep, log_slice: LogSlice) -> StepResult:
        items = log_slice.items
        unsendable = [index for index, item in enumerate(items) if item.reason]
        if unsendable and unsendable[0] == 0:
            return self._refuse_unsendable(step, log_slice)
        sendable = items[: unsendable[0]] if unsendable else items
        if not sendable:
            return self._settled(step, log_slice, len(items), [])
        batch = 1 if step.options.target == "track" else step.options.batch
        sequences = [item.sequence for item in sendable]
        state, count = next_request(
            step.cursor.delivery, sequences, batch=batch, now=datetime.now(UTC)
        )
        step = replace(step, cursor=msgspec.structs.replace(step.cursor, delivery=state))
        if count == len(items):
            self._reader.read_ahead(step, log_slice.end)
        sent, answer = await self._sender.send(step, sendable[:count])
        decision = settle(
            state,
            sequences[: len(sent)],
            answer,
            now=datetime.now(UTC),
            random=random.random(),  # noqa: S311 - not a secret
            backoff=self._backoff,
            is_webhook=step.is_webhook,
        )
        letters = await self._letters(step, sent, decision, answer)
        step = replace(step, cursor=msgspec.structs.replace(step.cursor, delivery=decision.state))
        if not decision.settled:
            return _unsettled(step.cursor, decision.kind, decision.delay, step.url, answer)
        result = self._settled(step, log_slice, decision.settled, letters)
        if step.options.rate:
            return replace(result, pause_seconds=decision.settled / step.options.rate)
        return result

    async def _letters(
        self, step: ForwardStep, sent: Sequence[ForwardItem], decision: Decision, answer: Answer
    ) -> list[DeadLetter]:
        letters = [_letter(step, sent[item.index], item.answer) for item in decision.refused]
        for conflict in decision.conflicts:
            item = sent[conflict.index]
            if not await target.has_equal_statement(
                step.endpoint, step.url, item.statement_id, item.text or b""
            ):
                letters.append(_letter(step, item, conflict.answer))
        return letters + await self._unlisted(step, sent[: decision.settled], decision, answer)

    async def _unlisted(
        self, step: ForwardStep, sent: Sequence[ForwardItem], decision: Decision, answer: Answer
    ) -> list[DeadLetter]:
        """Dead letters of statements that the target says it accepts, and does not have."""
        if decision.kind != "accepted" or step.options.target != "statements":
            return []
        if answer.status != HTTPStatus.OK:
            return []
        letters = []
        for index in unlisted(answer, [item.statement_id for item in sent]):
            item = sent[index]
            if not await target.has_equal_statement(
                step.endpoint, step.url, item.statement_id, item.text or b""
            ):
                reason = "The target answers 200 without the id of the statement."
                letters.append(replace(_letter(step, item, answer), reason=reason))
        return letters

    def _refuse_unsendable(self, step: ForwardStep, log_slice: LogSlice) -> StepResult:
        """The first statements, which the target cannot take, as dead letters."""
        items = log_slice.items[: step.options.batch]
        count = next((index for index, item in enumerate(items) if not item.reason), len(items))
        letters = [
            DeadLetter(UUID(item.statement_id), item.reason, step.url) for item in items[:count]
        ]
        return self._settled(step, log_slice, count, letters)

    def _settled(
        self,
        step: ForwardStep,
        log_slice: LogSlice,
        settled: int,
        letters: Sequence[DeadLetter],
    ) -> StepResult:
        """The first `settled` items are delivered, but for the dead letters among them."""
        items = log_slice.items
        end = log_slice.end if settled == len(items) else items[settled - 1].sequence
        passed = bisect_right(log_slice.sequences, end)
        counts = letter_limits.add(step.cursor.letters, settled, len(letters))
        reason = letter_limits.pause_reason(counts) if letters else None
        cursor = msgspec.structs.replace(step.cursor, sequence=end, letters=counts)
        return StepResult(
            dump_cursor(cursor),
            Counter(
                delivered=settled - len(letters),
                dead_letter=len(letters),
                skipped=passed - settled,
            ),
            position_at=stored_at(end),
            letters=letters,
            error=reason,
            pauses=reason is not None,
        )

    async def _retry(self, step: ForwardStep, letter: DeadLetter) -> StepResult:
        """Sends one dead letter alone. An answer that concerns it settles it."""
        item = await self._letter_item(step, letter)
        if item.text is None:
            refused = replace(letter, reason=item.reason or "The statement is not for the target.")
            return StepResult(dump_cursor(step.cursor), letters=[refused])
        (item,), answer = await self._sender.send(step, [item])
        kind = classify(answer, is_webhook=step.is_webhook)
        delivery = step.cursor.delivery
        if kind in ("denied", "throttled", "unavailable", "slow"):
            failures = delivery.failures + 1
            delay = (
                self._backoff.denied
                if kind == "denied"
                else self._backoff.jitter(
                    failures,
                    random.random(),  # noqa: S311 - not a secret
                )
            )
            state = msgspec.structs.replace(delivery, failures=failures)
            cursor = msgspec.structs.replace(step.cursor, delivery=state)
            return _unsettled(cursor, kind, delay, step.url, answer)
        state = msgspec.structs.replace(delivery, failures=0)
        position = dump_cursor(msgspec.structs.replace(step.cursor, delivery=state))
        is_delivered = kind == "accepted" or (
            kind == "conflict"
            and await target.has_equal_statement(
                step.endpoint, step.url, item.statement_id, item.text or b""
            )
        )
        if is_delivered:
            return StepResult(position, {"delivered": 1}, delivered=[letter.statement_id])
        refused = _letter(step, item, answer)
        if letter.request is not None:  # keep the corrected text of an operator
            refused = replace(refused, request=(item.text or b"").decode())
        return StepResult(position, letters=[refused])

    async def _letter_item(self, step: ForwardStep, letter: DeadLetter) -> ForwardItem:
        """What is sent of a dead letter: the request of an operator, or else as at first."""
        statement_id = str(letter.statement_id)
        stored = await self._statements.load(step.pipe.partner_id, statement_id)
        if stored is None:
            return ForwardItem(0, statement_id, None, reason="The statement is not stored.")
        text = letter.request if letter.request is not None else stored.payload.decode()
        if letter.request is not None and step.options.target != "statements":
            return ForwardItem(0, statement_id, text.encode(), is_changed=True)
        return self._sender.item(step, LoggedStatement(0, statement_id, stored.organization, text))


def _letter(step: ForwardStep, item: ForwardItem, answer: Answer) -> DeadLetter:
    return DeadLetter(
        UUID(item.statement_id),
        _reason(answer),
        step.url,
        answer.status,
        (item.text or b"").decode() if item.is_changed else None,
        answer.excerpt,
    )


def _unsettled(
    cursor: ForwardCursor, kind: str, delay: float, url: str, answer: Answer
) -> StepResult:
    """The result of a request that settles nothing: halves are sent at once, others wait."""
    position: Json = dump_cursor(cursor)
    if not delay and kind not in _ERRORS:
        return StepResult(position)
    error = f"{url}: {_reason(answer)}" if kind in _ERRORS else None
    return StepResult(position, wait_seconds=delay, error=error)


def _reason(answer: Answer) -> str:
    """The answer as one sentence."""
    if answer.status is None:
        return f"The target does not answer ({answer.excerpt})."
    if answer.status == 409:
        return "The target has another statement with this id."
    if 200 <= answer.status < 300:
        return f"The target answers {answer.status} with a web page."
    try:
        phrase = f" {HTTPStatus(answer.status).phrase}"
    except ValueError:
        phrase = ""
    return f"The target answers {answer.status}{phrase}."
