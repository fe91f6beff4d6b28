"""From the bytes of one item to a statement that is ready to be stored: read, check, complete.

Faces differ in how an item becomes a statement; each has a reader for it. All that follows is the
same for all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from uuid import uuid4

import orjson

from lrs.errors import InvalidStatement, TooLarge, Violation
from lrs.ingest.model import IngestContext, ItemParser, ParsedItem, PreparedItem
from lrs.store.statements.insert import StatementRow
from lrs.xapi import (
    definitions,
    equality,
    index_keys,
    multipart,
    signatures,
    strict_json,
    track_events,
)
from lrs.xapi.index_keys import EntityReference
from lrs.xapi.multipart import Attachment
from lrs.xapi.signatures import Signature
from lrs.xapi.validation import Version, statement_violations, track_violations

VERSION_KEPT = {"1.0.3": "1.0.0", "2.0.0": "2.0.0"}
"""The `version` that a statement gets which has none (xAPI 1.0.3 Data 2.4.10)."""


@dataclass(frozen=True, slots=True)
class StatementParser:
    """Reads items that are statements already (xAPI 1.0.3 Data 2).

    `attached` are the attachments that came with the request, by SHA-2; `statement_id` is the id
    that the request gives to its one statement.
    """

    attached: Mapping[str, Attachment] = field(default_factory=dict)
    statement_id: str | None = None

    def __call__(self, text: bytes, value: Any, sender: IngestContext) -> ParsedItem:
        version = sender.version or _version_told(value)
        if violations := statement_violations(value, version, text):
            raise refusal(violations)
        if self.statement_id:
            text = _named(text, value, self.statement_id)
        organization = sender.organization
        if "attachments" not in value and "attachments" not in value["object"]:
            return ParsedItem(value, text, organization, version)
        if violations := multipart.missing_attachments(value, self.attached):
            raise refusal(violations)
        here = [sha2 for sha2, _ in multipart.attachment_hashes(value) if sha2 in self.attached]
        contents = tuple((sha2, self.attached[sha2].content) for sha2 in here)
        return ParsedItem(value, text, organization, version, contents, self._signatures(value))

    def _signatures(self, statement: dict[str, Any]) -> tuple[Signature, ...]:
        now = datetime.now(UTC)
        return tuple(
            signatures.examine_signature(
                statement,
                self.attached[attachment["sha2"].lower()].content,
                attachment,
                index,
                now,
            )
            for index, attachment in signatures.signature_attachments(statement)
        )


def read_track(text: bytes, value: Any, sender: IngestContext) -> ParsedItem:
    """Reads an item that is a track event."""
    if violations := track_violations(value):
        raise refusal(violations)
    organization = track_events.organization_of(value, sender.organization)
    statement = track_events.statement(value, organization=organization, home_page=sender.home_page)
    # The event as it was sent: a value may have fewer digits than its text.
    original = {"extensions": {track_events.ORIGINAL: orjson.Fragment(text)}}
    told = orjson.dumps({**statement, "context": original})
    return ParsedItem(statement, told, organization, "1.0.3")


def refusal(violations: Sequence[Violation]) -> InvalidStatement:
    """The problem of an item that breaks rules: the first one in words, all of them as a list."""
    first = violations[0]
    more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
    return InvalidStatement(
        f"{first.pointer or 'The item'}: {first.detail}{more}", violations=violations
    )


def check(text: bytes, sender: IngestContext, reader: ItemParser, most_bytes: int) -> PreparedItem:
    """The item, ready to be stored. Raises TooLarge, MalformedJSON or InvalidStatement."""
    if len(text) > most_bytes:
        raise TooLarge(f"This has {len(text)} bytes, and at most {most_bytes} are taken.")
    value, text = strict_json.parse(text)
    return complete(reader(text, value, sender), sender)


def complete(item: ParsedItem, sender: IngestContext) -> PreparedItem:
    """An item that is a valid statement, with all that the LRS sets."""
    return PreparedItem(_prepare(item, sender), "id" in item.statement)


def _version_told(value: Any) -> Version:
    told = value.get("version") if isinstance(value, dict) else None
    return "2.0.0" if isinstance(told, str) and told.startswith("2.") else "1.0.3"


def _named(text: bytes, statement: dict[str, Any], statement_id: str) -> bytes:
    """The text with the id of the request, which the value gets too. Raises InvalidStatement."""
    if "id" not in statement:
        statement["id"] = statement_id
        return b'{"id":"%b",%b' % (statement_id.encode(), text[1:])
    if statement["id"].lower() != statement_id.lower():
        detail = f"expected the id of the request, {statement_id}"
        raise refusal([Violation("/id", detail, "xAPI 1.0.3 Communication 2.1.1")])
    return text


def _prepare(item: ParsedItem, sender: IngestContext) -> StatementRow:
    statement = item.statement
    statement_id = _identify(statement, item.organization)
    verb = statement["verb"]["id"]
    target = index_keys.statement_ref(statement)
    mentioned = index_keys.entity_references(statement)
    keys = index_keys.statement_keys(statement, mentioned)
    defined = definitions.activity_definitions(mentioned) if sender.defines else {}
    return StatementRow(
        statement_id=statement_id.lower(),
        digest=equality.digest(statement),
        verb_key=index_keys.verb_key(verb),
        authority_key=sender.authority_key,
        actor_key=keys.actor,
        object_key=keys.object,
        organization=item.organization,
        timed="timestamp" in statement,
        body=_body(item, statement_id, sender),
        links=tuple(keys.entries.items()),
        target=target,
        voids=target is not None and verb == index_keys.VOIDED,
        definitions=[(each, orjson.dumps(known)) for each, known in defined.items()],
        names=_names(mentioned, sender) if sender.defines else (),
        contents=item.contents,
        signatures=item.signatures,
        page_view=item.page_view,
    )


def _names(mentioned: list[EntityReference], sender: IngestContext) -> list[tuple[str, str]]:
    return definitions.agent_names(mentioned) + _names_of_authority(sender.authority)


@lru_cache(maxsize=1000)
def _names_of_authority(authority: str) -> list[tuple[str, str]]:
    agent = orjson.loads(authority)
    mention = ("agent", index_keys.agent_identity(agent), agent, index_keys.Role.AUTHORITY)
    return definitions.agent_names([mention])


def _identify(statement: dict[str, Any], organization: str | None) -> str:
    """Its id; or one derived from what it says, so that it is known again; or a fresh one."""
    if "id" in statement:
        return str(statement["id"])
    if "timestamp" in statement:
        return equality.derived_id(statement, organization)
    return str(uuid4())


_SET_HERE = frozenset({"stored", "authority"})


def _body(item: ParsedItem, statement_id: str, sender: IngestContext) -> str:
    """The text to keep: as it was sent, but for what the LRS sets; open for `stored`."""
    told = item.statement
    identity = "" if "id" in told else f'"id":"{statement_id}",'
    version = "" if "version" in told else f'"version":"{VERSION_KEPT[item.version]}",'
    return f'{{{identity}{_kept(item)},"authority":{sender.authority},{version}'


def _kept(item: ParsedItem) -> str:
    """The members of the statement that are kept, as text."""
    statement = item.statement
    rewritten = strict_json.context_activities_as_arrays(item.text, statement)
    if not rewritten and _SET_HERE.isdisjoint(statement):
        return item.text[1:-1].decode()
    members = strict_json.members(item.text) | rewritten
    return ",".join(
        f'"{name}":{raw.decode()}' for name, raw in members.items() if name not in _SET_HERE
    )
