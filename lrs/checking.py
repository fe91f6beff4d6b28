"""From the bytes of one item to a statement that is ready to be stored: read, check, complete.

Faces differ in how an item becomes a statement; each has a reader for it. All that follows is the
same for all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from uuid import uuid4

import orjson

from lrs.errors import InvalidStatement, TooLarge, Violation
from lrs.store.statements import Prepared
from lrs.xapi import codec, entities, equality, links, multipart, signatures, track
from lrs.xapi.canvas import PageView
from lrs.xapi.multipart import Attached
from lrs.xapi.signatures import Signature
from lrs.xapi.validation import Version, statement_violations, track_violations

VERSION_KEPT = {"1.0.3": "1.0.0", "2.0.0": "2.0.0"}
"""The `version` that a statement gets which has none (xAPI 1.0.3 Data 2.4.10)."""


@dataclass(frozen=True, slots=True)
class Sender:
    """On whose behalf statements enter, and by which version of xAPI they are read.

    Without a version, each statement's own `version` decides, or else 1.0.3. `authority` is the
    agent's JSON text, `home_page` the partner's; `defines` says whether what is told of activities
    and agents is to be kept (scope `define`).
    """

    partner_id: int
    partner: str
    home_page: str
    organization: str | None
    authority: str
    authority_key: int
    defines: bool
    version: Version | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """An item that is a valid statement: as a value, as text, and what came with it."""

    statement: dict[str, Any]
    text: bytes
    organization: str | None
    version: Version
    contents: tuple[tuple[str, bytes], ...] = ()
    signatures: tuple[Signature, ...] = ()
    page_view: PageView | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """An item that is ready to be stored."""

    prepared: Prepared
    statement: dict[str, Any]


Reader = Callable[[bytes, Any, Sender], Item]
"""Makes a statement of one item, given as text and as value. Raises InvalidStatement."""


@dataclass(frozen=True, slots=True)
class StatementReader:
    """Reads items that are statements already (xAPI 1.0.3 Data 2).

    `attached` are the attachments that came with the request, by SHA-2; `statement_id` is the id
    that the request gives to its one statement.
    """

    attached: Mapping[str, Attached] = field(default_factory=dict)
    statement_id: str | None = None

    def __call__(self, text: bytes, value: Any, sender: Sender) -> Item:
        version = sender.version or _version_told(value)
        if violations := statement_violations(value, version):
            raise refusal(violations)
        if self.statement_id:
            _name(value, self.statement_id)
        organization = sender.organization
        if "attachments" not in value and "attachments" not in value["object"]:
            return Item(value, text, organization, version)
        if violations := multipart.missing(value, self.attached):
            raise refusal(violations)
        here = [sha2 for sha2, _ in multipart.hashes(value) if sha2 in self.attached]
        contents = tuple((sha2, self.attached[sha2].content) for sha2 in here)
        return Item(value, text, organization, version, contents, self._signatures(value))

    def _signatures(self, statement: dict[str, Any]) -> tuple[Signature, ...]:
        now = datetime.now(UTC)
        return tuple(
            signatures.examine(
                statement,
                self.attached[attachment["sha2"].lower()].content,
                attachment,
                index,
                now,
            )
            for index, attachment in signatures.signatures(statement)
        )


def read_track(text: bytes, value: Any, sender: Sender) -> Item:
    """Reads an item that is a track event."""
    if violations := track_violations(value):
        raise refusal(violations)
    organization = track.organization_of(value, sender.organization)
    statement = track.statement(value, organization=organization, home_page=sender.home_page)
    return Item(statement, orjson.dumps(statement), organization, "1.0.3")


def refusal(violations: Sequence[Violation]) -> InvalidStatement:
    """The problem of an item that breaks rules: the first one in words, all of them as a list."""
    first = violations[0]
    more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
    return InvalidStatement(
        f"{first.pointer or 'The item'}: {first.detail}{more}", violations=violations
    )


def check(text: bytes, sender: Sender, reader: Reader, most_bytes: int) -> Checked:
    """The item, ready to be stored. Raises TooLarge, MalformedJSON or InvalidStatement."""
    if len(text) > most_bytes:
        raise TooLarge(f"This has {len(text)} bytes, and at most {most_bytes} are taken.")
    return complete(reader(text, codec.read(text), sender), sender)


def complete(item: Item, sender: Sender) -> Checked:
    """An item that is a valid statement, with all that the LRS sets."""
    return Checked(_prepare(item, sender), item.statement)


def _version_told(value: Any) -> Version:
    told = value.get("version") if isinstance(value, dict) else None
    return "2.0.0" if isinstance(told, str) and told.startswith("2.") else "1.0.3"


def _name(statement: dict[str, Any], statement_id: str) -> None:
    """Gives the statement the id of the request, unless it has another one."""
    if statement.setdefault("id", statement_id).lower() != statement_id.lower():
        detail = f"expected the id of the request, {statement_id}"
        raise refusal([Violation("/id", detail, "xAPI 1.0.3 Communication 2.1.1")])


def _prepare(item: Item, sender: Sender) -> Prepared:
    statement = item.statement
    statement_id = _identify(statement, item.organization)
    verb = statement["verb"]["id"]
    target = links.reference(statement)
    defined = entities.definitions(statement) if sender.defines else {}
    return Prepared(
        statement_id=statement_id.lower(),
        digest=equality.digest(statement),
        verb_key=links.verb_key(verb),
        authority_key=sender.authority_key,
        organization=item.organization,
        timed="timestamp" in statement,
        body=_body(item, statement_id, sender),
        links=tuple(links.links(statement).items()),
        target=target,
        voids=target is not None and verb == links.VOIDED,
        definitions=tuple((each, orjson.dumps(known)) for each, known in defined.items()),
        names=tuple(_names(statement, sender)) if sender.defines else (),
        contents=item.contents,
        signatures=item.signatures,
        page_view=item.page_view,
    )


def _names(statement: dict[str, Any], sender: Sender) -> set[tuple[str, str]]:
    return entities.names(statement) | _names_of_authority(sender.authority)


@lru_cache(maxsize=1000)
def _names_of_authority(authority: str) -> set[tuple[str, str]]:
    return entities.names_of(orjson.loads(authority))


def _identify(statement: dict[str, Any], organization: str | None) -> str:
    """Its id; or one derived from what it says, so that it is known again; or a fresh one."""
    if "id" in statement:
        return str(statement["id"])
    if "timestamp" in statement:
        return equality.derived_id(statement, organization)
    return str(uuid4())


_SET_HERE = frozenset({"id", "stored", "authority", "version"})


def _body(item: Item, statement_id: str, sender: Sender) -> str:
    """The text to keep: as it was sent, but for what the LRS sets; open for `stored`."""
    statement = item.statement
    text = codec.compact(item.text)
    version = statement.get("version", VERSION_KEPT[item.version])
    rewritten = codec.arrays_of_context_activities(statement)
    if rewritten or not _SET_HERE.isdisjoint(statement):
        members = codec.members(text)
        members.update({name: orjson.dumps(statement[name]) for name in rewritten})
        kept = (
            f'"{name}":{raw.decode()}' for name, raw in members.items() if name not in _SET_HERE
        )
        inner = ",".join(kept)
    else:
        inner = text[1:-1].decode()
    return f'{{"id":"{statement_id}",{inner},"authority":{sender.authority},"version":"{version}",'
