"""Statements as track events of Percipio: starts, progress and completions, in six fields.

Other statements are no track event. A statement that was received as a track event is sent with the
fields that it was received with.
"""

from __future__ import annotations

from datetime import UTC
from typing import Any
from uuid import UUID

from lrs.projection.events import ExtractedEvent, extract_event
from lrs.projection.vocabulary import Vocabulary
from lrs.xapi import index_keys
from lrs.xapi.statement import TRACK_EVENT
from lrs.xapi.timestamps import parse_timestamp

Json = dict[str, Any]

FIELDS = (
    "content_id", "user", "status", "event_date", "completion_percentage", "duration_spent",
)  # fmt: skip

_STATUS_OF_KIND = {
    "started": "started",
    "progressed": "in_progress",
    "completed": "completed",
    "passed": "completed",
}


def track_event(statement: Json, vocabulary: Vocabulary) -> Json | None:
    """The event of a stored statement, or None. Fields without a value are left out."""
    received = statement.get("context", {}).get("extensions", {}).get(TRACK_EVENT)
    if isinstance(received, dict):
        return {
            field: received[field] for field in FIELDS if received.get(field) is not None
        } or None
    if statement["verb"]["id"] == index_keys.VOIDED:
        return None
    statement_id = UUID(statement["id"])
    extracted = extract_event(statement_id, 0, None, statement, vocabulary)
    user = _user(statement["actor"])
    status = _status(extracted) if extracted else None
    if extracted is None or status is None or user is None:
        return None
    measures = extracted.event.measures
    event: Json = {
        "content_id": extracted.content,
        "user": user,
        "status": status,
        "event_date": _utc(statement["timestamp"]),
    }
    progress = 100 if status == "completed" else measures.progress
    if progress is not None:
        event["completion_percentage"] = _number(progress)
    if measures.milliseconds is not None:
        event["duration_spent"] = _number(measures.milliseconds / 1000)
    return event


def _status(extracted: ExtractedEvent) -> str | None:
    """The status of a kind of work; progress without such a kind is `in_progress`."""
    measures = extracted.event.measures
    status = _STATUS_OF_KIND.get(measures.kind)
    if status is None and measures.progress is not None:
        return "completed" if measures.progress >= 100 else "in_progress"
    return status


def _user(actor: Json) -> str | None:
    """An address or an external id; None for an OpenID or the hash of an address."""
    if "mbox" in actor:
        return str(actor["mbox"]).removeprefix("mailto:")
    return str(actor["account"]["name"]) if "account" in actor else None


def _utc(timestamp: str) -> str:
    """The time in UTC, in seconds, as the vendor writes it."""
    moment = parse_timestamp(timestamp).astimezone(UTC).replace(tzinfo=None, microsecond=0)
    return f"{moment.isoformat()}Z"


def _number(value: float) -> float | int:
    return int(value) if float(value).is_integer() else value
