"""Use case: store what a tool reports through a Canvas callback.

Every accepted request consumes its nonce, whether or not it stores a statement:

- The report is stored: the nonce is consumed in the transaction of the insert. If its id belongs to
  a stored statement (some tools send one id for all reports), it is stored under an id derived from
  the request.
- The same launch has sent the same id and content within ten minutes (a retry): nothing is stored.
- The body is not a report, or of an event that is not recorded: the nonce is consumed.

With the partner setting `strict_callback_idempotency`, a report whose id belongs to a statement of
the same launch is not stored, whatever its content. If it belongs to another statement, the nonce
is released, and the report is stored under an id derived from the launch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from lrs.ingest.model import IngestContext, Outcome, ParsedItem, SignedCallback
from lrs.ingest.pipeline import IngestPipeline
from lrs.store.intake import subject_name
from lrs.store.nonces import Nonce, NonceRecovery, NonceReused
from lrs.store.statements.lookup import StatementLoader
from lrs.xapi import canvas_callbacks, canvas_launches
from lrs.xapi.authorities import authority_of
from lrs.xapi.canvas_callbacks import CallbackReport, NothingToCount
from lrs.xapi.durations import InvalidDuration
from lrs.xapi.statement import derived_uuid


class NotJSON(Exception):
    """The body of an xAPI callback has another media type than application/json."""


ReportParser = Callable[[Any, bytes], CallbackReport | None]
"""Turns the JSON value and the bytes of a body into a report; None for an unrecorded event.

Raises NothingToCount or InvalidDuration.
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
        Raises NotJSON, NothingToCount, InvalidDuration, NonceReused, Unavailable and Overloaded.
        """
        try:
            if not is_json:
                raise NotJSON
            report = parse(value, body)
        except (NotJSON, NothingToCount, InvalidDuration):
            await self._consume_nonce(callback)
            raise
        if report is None or not await self._insert(callback, report):
            await self._consume_nonce(callback)

    async def _consume_nonce(self, callback: SignedCallback) -> None:
        partner_id = callback.tool.partner_id
        if not await self.nonce_recovery.consume_one(partner_id, callback.nonce):
            raise NonceReused

    async def _insert(self, callback: SignedCallback, report: CallbackReport) -> bool:
        """Stores the report unless it is counted already; False if its nonce is not consumed."""
        if not callback.tool.partner_settings.strict_callback_idempotency:
            statement_id = canvas_callbacks.reported_id(report)
            request_id = _request_id(callback, report)
            outcome = await self._submit(
                callback,
                report,
                statement_id or request_id,
                fallback_id=request_id if statement_id else None,
                report_key=_report_key(callback, report),
            )
            self.pipeline.record(report_context(callback), [report.text], [outcome])
            return True
        return await self._insert_once(callback, report)

    async def _insert_once(self, callback: SignedCallback, report: CallbackReport) -> bool:
        """Stores the report unless a report of its launch has its id; False on a conflict."""
        statement_id = canvas_callbacks.reported_id(report)
        if statement_id is None:
            value = report.statement.get("id")
            statement_id = (
                canvas_callbacks.launch_id(str(value), callback.launch)
                if canvas_callbacks.has_id(report)
                else _request_id(callback, report)
            )
        outcome = await self._submit(callback, report, statement_id)
        if outcome.kind == "conflict" and await self._is_from_other_launch(callback, statement_id):
            launch_id = canvas_callbacks.launch_id(statement_id, callback.launch)
            outcome = await self._submit(callback, report, launch_id, reuses_id=True)
        self.pipeline.record(report_context(callback), [report.text], [outcome])
        return outcome.kind != "conflict"

    async def _is_from_other_launch(self, callback: SignedCallback, statement_id: str) -> bool:
        existing = await self.statement_loader.load(callback.tool.partner_id, statement_id)
        return existing is not None and not canvas_callbacks.is_from_launch(
            orjson.loads(existing.payload), callback.launch
        )

    async def _submit(
        self,
        callback: SignedCallback,
        report: CallbackReport,
        statement_id: str,
        *,
        fallback_id: str | None = None,
        report_key: Nonce | None = None,
        reuses_id: bool = False,
    ) -> Outcome:
        launch, tool = callback.launch, callback.tool
        has_page_views = self.page_views if tool.page_views is None else tool.page_views
        page_view = canvas_callbacks.page_view(
            report,
            launch,
            cap=self.max_page_view_seconds,
            counts_as_view=has_page_views,
            reuses_id=reuses_id,
        )

        def parse(_text: bytes, _context: IngestContext) -> ParsedItem:
            statement = canvas_callbacks.statement(report, launch, tool.home_page)
            return ParsedItem(
                statement,
                orjson.dumps(statement),
                None,
                "1.0.3",
                page_view=page_view,
                statement_id=statement_id,
                fallback_id=fallback_id,
            )

        (outcome,) = await self.pipeline.submit(
            [report.text],
            report_context(callback),
            parse,
            nonce=callback.nonce,
            report_key=report_key,
            is_final=False,
        )
        return outcome


def _report_key(callback: SignedCallback, report: CallbackReport) -> Nonce | None:
    if not canvas_callbacks.has_id(report):
        return None
    return Nonce.of_report(callback.tool.name, canvas_callbacks.retry_key(report, callback.launch))


def _request_id(callback: SignedCallback, report: CallbackReport) -> str:
    """The id of a report without one, or whose own is taken.

    The same for a request that is sent again.
    """
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


def report_context(callback: SignedCallback) -> IngestContext:
    """What the statement of a report takes from its tool."""
    tool = callback.tool
    authority = authority_of(canvas_launches.authority(tool.home_page, tool.name))
    return IngestContext(
        tool.partner_id,
        tool.partner,
        tool.home_page,
        organization=None,
        authority=authority.text,
        authority_key=authority.key,
        defines=False,
        version="1.0.3",
        subjects=callback.subjects,
        source="canvas",
        credential=subject_name(tool.name, is_tool=True),
        keeps_items=tool.partner_settings.keep_refused_items,
    )
