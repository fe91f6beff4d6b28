"""What a forwarding pipe sends of each statement, and the bodies of its requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import NAMESPACE_URL, uuid4, uuid5

import orjson

from lrs.pipes.forward import versions
from lrs.pipes.forward.track_payload import track_event
from lrs.pipes.webhook import signature_headers
from lrs.projection.vocabulary import Vocabulary
from lrs.store.statements.log_page import LoggedStatement
from lrs.xapi import attachment_rules, multipart

VERSION_1 = "1.0.3"
VERSION_2 = "2.0.0"
_NO_REASON = ""


@dataclass(frozen=True, slots=True)
class ForwardItem:
    """One statement: the text to send, and whether that is changed.

    `text` None: it is not sent. `reason` says why it is a dead letter; empty: it is none, as it is
    not for the target. `attachments` are pairs of SHA-2 and media type.
    """

    sequence: int
    statement_id: str
    text: bytes | None
    is_changed: bool = False
    reason: str = _NO_REASON
    attachments: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ForwardRequest:
    """The body and the headers of a request."""

    content: bytes
    headers: Mapping[str, str]


def statement_item(
    logged: LoggedStatement, supported: Sequence[str], *, strip: bool
) -> ForwardItem:
    """A statement for an LRS that speaks these versions; no version means any.

    For one that speaks 1.0.3 only, a statement that needs 2.0 is a dead letter. With `strip`, it is
    sent without what needs 2.0, unless it is signed.
    """
    text = logged.text.encode()
    attachments: tuple[tuple[str, str], ...] = ()
    if b'"attachments"' in text:
        attachments = tuple(attachment_rules.attachment_hashes(orjson.loads(text)))
    is_old_target = bool(supported) and not speaks_2(supported)
    if not is_old_target or not versions.is_version_2(text):
        return ForwardItem(logged.sequence, logged.statement_id, text, attachments=attachments)
    statement = orjson.loads(text)
    if versions.needs_version_2(statement) and (not strip or versions.is_signed(statement)):
        reason = "The statement needs xAPI 2.0; the target speaks 1.0.3."
        return ForwardItem(logged.sequence, logged.statement_id, None, reason=reason)
    return ForwardItem(
        logged.sequence,
        logged.statement_id,
        versions.as_version_1(text),
        is_changed=True,
        attachments=attachments,
    )


def track_item(logged: LoggedStatement, vocabulary: Vocabulary) -> ForwardItem:
    """A statement as a track event; not sent if it is none."""
    event = track_event(orjson.loads(logged.text), vocabulary)
    text = None if event is None else orjson.dumps(event)
    return ForwardItem(logged.sequence, logged.statement_id, text, is_changed=True)


def webhook_item(logged: LoggedStatement) -> ForwardItem:
    return ForwardItem(logged.sequence, logged.statement_id, logged.text.encode())


def speaks_2(supported: Sequence[str]) -> bool:
    return any(version.startswith("2.") for version in supported)


def statements_request(
    items: Sequence[ForwardItem], supported: Sequence[str], contents: Mapping[str, bytes]
) -> ForwardRequest:
    """A request with statements; multipart if contents of attachments, by SHA-2, belong to it.

    Its version is that of the statements if the target speaks it: 2.0.0 if one of them is of 2.0.
    """
    texts = [item.text for item in items if item.text is not None]
    body = b"[" + b",".join(texts) + b"]"
    headers = {"X-Experience-API-Version": _request_version(texts, supported)}
    if not contents:
        return ForwardRequest(body, {**headers, "Content-Type": "application/json"})
    boundary = f"lrs-{uuid4().hex}"
    kinds = {sha2: kind for item in items for sha2, kind in item.attachments}
    parts = [multipart.statements_part(body, boundary)]
    for sha2, content in contents.items():
        parts += [multipart.attachment_head(boundary, sha2, kinds[sha2]), content]
    parts.append(multipart.closing_boundary(boundary))
    return ForwardRequest(
        b"".join(parts), {**headers, "Content-Type": multipart.content_type(boundary)}
    )


def track_request(item: ForwardItem) -> ForwardRequest:
    """A request with one event: the vendor documents no other."""
    return ForwardRequest(item.text or b"", {"Content-Type": "application/json"})


def webhook_request(
    items: Sequence[ForwardItem], secret: str | None, pipe: str, timestamp: int
) -> ForwardRequest:
    """A signed array of statements. A retry has the same `webhook-id`. Raises InvalidParameter."""
    body = b"[" + b",".join(item.text for item in items if item.text is not None) + b"]"
    headers = {"Content-Type": "application/json"}
    ids = " ".join(item.statement_id for item in items)
    message_id = f"msg_{uuid5(NAMESPACE_URL, f'{pipe} {ids}').hex}"
    if secret is None:
        return ForwardRequest(body, {**headers, "webhook-id": message_id})
    return ForwardRequest(
        body, {**headers, **signature_headers(secret, message_id, timestamp, body)}
    )


def _request_version(texts: Sequence[bytes], supported: Sequence[str]) -> str:
    if not supported:
        is_2 = any(map(versions.is_version_2, texts))
    elif not speaks_2(supported):
        is_2 = False
    elif not any(version.startswith("1.") for version in supported):
        is_2 = True
    else:
        is_2 = any(map(versions.is_version_2, texts))
    if is_2:
        return next((version for version in supported if version.startswith("2.")), VERSION_2)
    return VERSION_1
