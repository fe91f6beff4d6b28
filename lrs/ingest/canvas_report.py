"""Use case: store what a tool reports through a Canvas callback.

Every accepted request consumes its nonce, whether or not it stores a statement:

- The report is stored: the nonce is consumed in the transaction of the insert.
- Its id belongs to a statement of another launch (some tools send one id for all users): the nonce
  is released, and the report is stored under an id derived from the launch.
- Its id belongs to an equal statement (a retry), or to a different one of the same launch: nothing
  is stored, the nonce is consumed.
- The body is not a report, or of an event that is not recorded: the nonce is consumed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from lrs.ingest.model import IngestContext, ItemParser, Outcome, ParsedItem, SignedCallback
from lrs.ingest.pipeline import IngestPipeline
from lrs.store.intake import subject_name
from lrs.store.nonces import NonceRecovery, NonceReused
from lrs.store.statements.lookup import StatementLoader
from lrs.xapi import canvas_callbacks, canvas_launches, index_keys
from lrs.xapi.canvas_callbacks import CallbackReport, MissingObjectId
from lrs.xapi.durations import InvalidDuration
from lrs.xapi.statement import derived_uuid


class NotJSON(Exception):
    """The body of an xAPI callback has another media type than application/json."""


ReportParser = Callable[[Any, bytes], CallbackReport | None]
"""Turns the JSON value and the bytes of a body into a report; None for an unrecorded event.

Raises MissingObjectId or InvalidDuration.
"""


@dataclass(frozen=True, slots=True)
class CanvasReports:
    """Stores reports; one instance per worker.

    `page_views` is the default for partners without a setting of their own. A page view has at most
    `max_page_view_seconds`.
    """

    pipeline: IngestPipeline
    statement_loader: StatementLoader
    nonce_recovery: NonceRecovery
    page_views: bool
    max_page_view_seconds: int

    async def store(
        self,
        callback: SignedCallback,
        parse: ReportParser,
        value: Any,
        body: bytes,
        *,
        is_json: bool,
    ) -> None:
        """Stores the report in a body with its page view; `value` is the JSON value of the body.

        `is_json` is False if the interface requires JSON and the body has another media type.
        Raises NotJSON, MissingObjectId, InvalidDuration, NonceReused, Unavailable and Overloaded.
        """
        try:
            if not is_json:
                raise NotJSON
            report = parse(value, body)
        except (NotJSON, MissingObjectId, InvalidDuration):
            await self._consume_nonce(callback)
            raise
        if report is None or not await self._insert(callback, report):
            await self._consume_nonce(callback)

    async def _consume_nonce(self, callback: SignedCallback) -> None:
        partner_id = callback.tool.partner_id
        if not await self.nonce_recovery.consume_one(partner_id, callback.nonce):
            raise NonceReused

    async def _insert(self, callback: SignedCallback, report: CallbackReport) -> bool:
        """Stores the report, if need be under the id of its launch; False on a conflict."""
        statement_id = canvas_callbacks.reported_id(report)
        outcome = await self._submit(
            callback, report, statement_id or _request_id(callback, report)
        )
        if (
            outcome.kind == "conflict"
            and statement_id is not None
            and await self._is_from_other_launch(callback, statement_id)
        ):
            launch_id = canvas_callbacks.launch_id(statement_id, callback.launch)
            outcome = await self._submit(callback, report, launch_id)
        self.pipeline.record(_context(callback), [report.text], [outcome])
        return outcome.kind != "conflict"

    async def _is_from_other_launch(self, callback: SignedCallback, statement_id: str) -> bool:
        existing = await self.statement_loader.load(callback.tool.partner_id, statement_id)
        return existing is not None and not canvas_callbacks.is_from_launch(
            orjson.loads(existing.payload), callback.launch
        )

    async def _submit(
        self, callback: SignedCallback, report: CallbackReport, statement_id: str
    ) -> Outcome:
        (outcome,) = await self.pipeline.submit(
            [report.text],
            _context(callback),
            self._item_parser(callback, report, statement_id),
            nonce=callback.nonce,
            is_final=False,
        )
        return outcome

    def _item_parser(
        self, callback: SignedCallback, report: CallbackReport, statement_id: str
    ) -> ItemParser:
        launch, tool = callback.launch, callback.tool
        has_page_views = self.page_views if tool.page_views is None else tool.page_views
        page_view = canvas_callbacks.page_view(
            report, launch, cap=self.max_page_view_seconds, counts_as_view=has_page_views
        )

        def parse(_text: bytes, _context: IngestContext) -> ParsedItem:
            statement = canvas_callbacks.statement(report, launch, tool.home_page, statement_id)
            text = orjson.dumps(statement)
            return ParsedItem(statement, text, None, "1.0.3", page_view=page_view)

        return parse


def _request_id(callback: SignedCallback, report: CallbackReport) -> str:
    """The id of a report without one: the same for a request that is sent again."""
    launch = callback.launch
    return derived_uuid(
        "callback request",
        launch.tool,
        launch.user,
        launch.course,
        str(callback.timestamp),
        callback.nonce.hash.hex(),
        report.text.decode("latin-1"),
    )


def _context(callback: SignedCallback) -> IngestContext:
    tool = callback.tool
    authority = canvas_launches.authority(tool.home_page, tool.name)
    authority_key = index_keys.agent_key(authority)
    assert authority_key is not None  # noqa: S101 - the authority has an account
    return IngestContext(
        tool.partner_id,
        tool.partner,
        tool.home_page,
        organization=None,
        authority=orjson.dumps(authority).decode(),
        authority_key=authority_key,
        defines=False,
        version="1.0.3",
        subjects=callback.subjects,
        source="canvas",
        credential=subject_name(tool.name, is_tool=True),
        keeps_items=tool.partner_settings.keep_refused_items,
    )
