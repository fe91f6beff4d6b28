"""Parsers: how the bytes of one item become a valid statement (`ItemParser`).

Interfaces differ in their parser only; the rest of the pipeline is the same for all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from lrs.errors import InvalidStatement, TooLarge, Violation
from lrs.ingest.model import IngestContext, ParsedItem
from lrs.xapi import (
    attachment_rules,
    requirements,
    signatures,
    strict_json,
    track_events,
)
from lrs.xapi.multipart import Attachment
from lrs.xapi.signatures import Signature
from lrs.xapi.statement import TRACK_EVENT
from lrs.xapi.validation import (
    Version,
    declared_version,
    is_uuid,
    statement_violations,
    track_violations,
)


@dataclass(frozen=True, slots=True)
class StatementParser:
    """Parses xAPI statements (xAPI 1.0.3 Data 2).

    `attachments` are the parts of a multipart request, by SHA-2. `statement_id` is the id in the
    query of a PUT request.
    """

    max_bytes: int
    attachments: Mapping[str, Attachment] = field(default_factory=dict)
    statement_id: str | None = None

    def __call__(self, text: bytes, context: IngestContext) -> ParsedItem:
        value, text = _parse_json(text, self.max_bytes)
        try:
            return self._parse_value(value, text, context)
        except InvalidStatement as error:
            error.statement_id = _valid_id(value)
            raise

    def _parse_value(self, value: Any, text: bytes, context: IngestContext) -> ParsedItem:
        version = context.version or declared_version(value)
        if violations := statement_violations(value, version, text):
            raise invalid_statement(violations)
        if self.statement_id:
            text = _with_id(text, value, self.statement_id, version)
        organization = context.organization
        if "attachments" not in value and "attachments" not in value["object"]:
            return ParsedItem(value, text, organization, version)
        if violations := attachment_rules.missing_attachments(value, self.attachments, version):
            raise invalid_statement(violations)
        if violations := signatures.check_number(value, version):
            raise invalid_statement(violations)
        return ParsedItem(
            value,
            text,
            organization,
            version,
            contents=self._contents(value),
            signatures=self._signatures(value, version),
        )

    def _contents(self, statement: dict[str, Any]) -> tuple[tuple[str, bytes], ...]:
        hashes = [sha2 for sha2, _ in attachment_rules.attachment_hashes(statement)]
        return tuple(
            (sha2, self.attachments[sha2].content) for sha2 in hashes if sha2 in self.attachments
        )

    def _signatures(self, statement: dict[str, Any], version: Version) -> tuple[Signature, ...]:
        return tuple(
            signatures.examine_signature(
                statement,
                self.attachments[attachment["sha2"].lower()].content,
                attachment,
                index,
                version,
            )
            for index, attachment in signatures.signature_attachments(statement)
        )


@dataclass(frozen=True, slots=True)
class TrackEventParser:
    """Parses track events and converts them to statements."""

    max_bytes: int

    def __call__(self, text: bytes, context: IngestContext) -> ParsedItem:
        event, text = _parse_json(text, self.max_bytes)
        if violations := track_violations(event):
            raise invalid_statement(violations)
        organization = track_events.organization_of(event, context.organization)
        statement = track_events.statement(
            event, organization=organization, home_page=context.home_page
        )
        # As text, not as a value: a float may have fewer digits than its text.
        original = {"extensions": {TRACK_EVENT: orjson.Fragment(text)}}
        with_original = orjson.dumps({**statement, "context": original})
        return ParsedItem(statement, with_original, organization, "1.0.3")


def invalid_statement(violations: Sequence[Violation]) -> InvalidStatement:
    """The error of an item with violations; its detail describes the first one."""
    first = violations[0]
    more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
    return InvalidStatement(
        f"{first.pointer or 'The item'}: {first.detail}{more}", violations=violations
    )


def _parse_json(text: bytes, max_bytes: int) -> tuple[Any, bytes]:
    """The value and its compact text. Raises TooLarge and MalformedJSON."""
    if len(text) > max_bytes:
        raise TooLarge(f"The item has {len(text)} bytes; the limit is {max_bytes}.")
    return strict_json.parse(text)


def _valid_id(value: Any) -> str | None:
    statement_id = value.get("id") if isinstance(value, dict) else None
    return str(statement_id) if is_uuid(statement_id) else None


def _with_id(text: bytes, statement: dict[str, Any], statement_id: str, version: Version) -> bytes:
    """Adds the id of a PUT to the statement and its text. Raises InvalidStatement on a mismatch."""
    if "id" not in statement:
        statement["id"] = statement_id
        return b'{"id":"%b",%b' % (statement_id.encode(), text[1:])
    if statement["id"].lower() != statement_id.lower():
        detail = f"expected the id of the request, {statement_id}, found {statement['id']}"
        requirement = requirements.PUT_STATEMENT[version]
        raise invalid_statement([Violation("/id", detail, requirement)])
    return text
