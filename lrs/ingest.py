"""The one road by which anything enters the store: check, prepare, commit, outcomes.

Every face hands over items as the bytes they were sent as, and gets one outcome for each, in order.
What differs between faces is how an item becomes a statement (`Reader`), and whether a request is
all or nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson
from uuid_utils import uuid7

from lrs import metrics
from lrs.errors import (
    DuplicateStatement,
    InvalidStatement,
    LRSError,
    MalformedJSON,
    StatementConflict,
    TooLarge,
    Violation,
)
from lrs.store import statements
from lrs.store.commit import GroupCommit, Verdict
from lrs.store.database import Database
from lrs.store.statements import Prepared
from lrs.xapi import codec, equality, links, track
from lrs.xapi.validation import Version, statement_violations, track_violations

Kind = Literal["stored", "duplicate", "conflict", "invalid", "too_large"]

VERSION_KEPT = {"1.0.3": "1.0.0", "2.0.0": "2.0.0"}
"""The `version` that a statement gets which has none (xAPI 1.0.3 Data 2.4.10)."""


@dataclass(frozen=True, slots=True)
class Sender:
    """On whose behalf statements enter, and by which version of xAPI they are read.

    Without a version, each statement's own `version` decides, or else 1.0.3. `authority` is the
    agent's JSON text, `home_page` the partner's.
    """

    partner_id: int
    partner: str
    home_page: str
    organization: str | None
    authority: str
    authority_key: int
    version: Version | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one item; `problem` says why it was not stored."""

    kind: Kind
    statement_id: str | None
    problem: LRSError | None = None

    @property
    def status(self) -> int:
        return self.problem.status if self.problem else 200


@dataclass(frozen=True, slots=True)
class Item:
    """A checked item: the statement it is, and the JSON text of that."""

    statement: dict[str, Any]
    text: bytes
    organization: str | None
    version: Version


Reader = Callable[[bytes, Any, Sender], Item]
"""Makes a statement of one item, given as text and as value. Raises InvalidStatement."""


class Ingest:
    """Where all faces meet. `statement_bytes` is the most that one item may have."""

    def __init__(self, database: Database, commits: GroupCommit) -> None:
        self._database = database
        self._commits = commits

    async def submit(
        self,
        items: Sequence[bytes],
        sender: Sender,
        reader: Reader,
        *,
        item_bytes: int,
        atomic: bool = False,
        dry_run: bool = False,
    ) -> list[Outcome]:
        """Stores what can be stored of the items, and tells what became of each.

        With `atomic`, nothing is stored unless every item is fine and none contradicts what is
        stored. With `dry_run` nothing is stored at all. Raises Unavailable and Overloaded.
        """
        checked = [_check(item, sender, reader, item_bytes) for item in items]
        if atomic:
            checked = _refuse_repeated_ids(checked)
        prepared = [each for each in checked if isinstance(each, Checked)]
        verdicts: Sequence[Verdict] = []
        if prepared and not (atomic and len(prepared) < len(checked)):
            ready = [each.prepared for each in prepared]
            if dry_run:
                verdicts = await statements.preview(self._database, sender.partner_id, ready)
            else:
                verdicts = await self._commits.submit(sender.partner_id, ready, atomic=atomic)
        outcomes = list(_outcomes(checked, iter(verdicts)))
        if not dry_run:
            for outcome in outcomes:
                metrics.OUTCOMES.labels(sender.partner, outcome.kind).inc()
        return outcomes


@dataclass(frozen=True, slots=True)
class Checked:
    """An item that is ready to be stored."""

    prepared: Prepared
    statement: dict[str, Any]


def read_statement(text: bytes, value: Any, sender: Sender) -> Item:
    """An item that is a statement already (xAPI 1.0.3 Data 2)."""
    version = sender.version or _version_told(value)
    if violations := statement_violations(value, version):
        raise refusal(violations)
    return Item(value, text, sender.organization, version)


def read_track(text: bytes, value: Any, sender: Sender) -> Item:
    """An item that is a track event."""
    if violations := track_violations(value):
        raise refusal(violations)
    organization = track.organization_of(value, sender.organization)
    statement = track.statement(value, organization=organization, home_page=sender.home_page)
    return Item(statement, orjson.dumps(statement), organization, "1.0.3")


def _version_told(value: Any) -> Version:
    told = value.get("version") if isinstance(value, dict) else None
    return "2.0.0" if isinstance(told, str) and told.startswith("2.") else "1.0.3"


def refusal(violations: Sequence[Violation]) -> InvalidStatement:
    """The problem of an item that breaks rules: the first one in words, all of them as a list."""
    first = violations[0]
    more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
    return InvalidStatement(
        f"{first.pointer or 'The item'}: {first.detail}{more}", violations=violations
    )


def _check(item: bytes, sender: Sender, reader: Reader, item_bytes: int) -> Checked | Outcome:
    if len(item) > item_bytes:
        problem = TooLarge(f"This has {len(item)} bytes, and at most {item_bytes} are taken.")
        return Outcome("too_large", None, problem)
    try:
        value = codec.read(item)
        read = reader(item, value, sender)
    except (InvalidStatement, MalformedJSON) as problem:
        return Outcome("invalid", None, problem)
    return Checked(_prepare(read, sender), read.statement)


def _refuse_repeated_ids(checked: Sequence[Checked | Outcome]) -> list[Checked | Outcome]:
    """A batch that is all or nothing cannot hold one id twice (xAPI 2.0 4.1.6.1)."""
    seen: set[str] = set()
    kept: list[Checked | Outcome] = []
    for each in checked:
        if isinstance(each, Checked) and "id" in each.statement:
            statement_id = each.prepared.statement_id
            if statement_id in seen:
                violation = Violation(
                    "/id", "This id stands twice in the batch.", "xAPI 2.0 4.1.6.1"
                )
                kept.append(Outcome("invalid", statement_id, refusal([violation])))
                continue
            seen.add(statement_id)
        kept.append(each)
    return kept


def _prepare(item: Item, sender: Sender) -> Prepared:
    statement = item.statement
    statement_id = _identify(statement, item.organization)
    verb = statement["verb"]["id"]
    target = links.reference(statement)
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
    )


def _identify(statement: dict[str, Any], organization: str | None) -> str:
    """Its id; or one derived from what it says, so that it is known again; or a fresh one."""
    if "id" in statement:
        return str(statement["id"])
    if "timestamp" in statement:
        return equality.derived_id(statement, organization)
    return str(uuid7())


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


def _outcomes(
    checked: Sequence[Checked | Outcome], verdicts: Iterator[Verdict]
) -> Iterator[Outcome]:
    for each in checked:
        if isinstance(each, Outcome):
            yield each
            continue
        statement_id = each.prepared.statement_id
        known = next(verdicts, None)
        if known is None:
            yield Outcome("stored", statement_id)
        elif known.digest == each.prepared.digest:
            problem: LRSError = DuplicateStatement(
                f"The statement {statement_id} is stored already; nothing was changed."
            )
            yield Outcome("duplicate", statement_id, problem)
        else:
            yield Outcome("conflict", statement_id, _conflict(each, known.payload))


def _conflict(each: Checked, payload: str | None) -> StatementConflict:
    stored = orjson.loads(payload) if payload else {}
    paths = equality.differences(each.statement, stored)
    return StatementConflict(
        f"Another statement is stored as {each.prepared.statement_id}; nothing was changed.",
        violations=[
            Violation(path, "differs from what is stored", "xAPI 1.0.3 Data 2.2") for path in paths
        ],
    )
