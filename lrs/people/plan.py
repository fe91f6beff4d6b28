"""What an import of people comes to: what becomes of each row, and what there is to be written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from lrs.errors import Violation
from lrs.people import checks
from lrs.people.checks import NAME_COLUMNS, MembershipKey, StoredPeople
from lrs.people.identifier_assignments import IdentifierAssignment, identifier_assignments, resolve
from lrs.people.rows import Row, Values
from lrs.xapi import track_events

Kind = Literal["added", "changed", "removed", "unchanged", "refused"]

_NEW: dict[str, Values] = {
    "user": dict.fromkeys(("email", "first_name", "last_name", "slug")),
    "group": {"title": None},
    "team": dict.fromkeys(("organization", "created_date", "updated_date", "deleted_date")),
    "assignment": {
        **dict.fromkeys(("content", "organization", "xp", "created_by")),
        **dict.fromkeys(("due_at", "created_at", "updated_at", "deleted_at")),
        "status": "active",
    },
}


@dataclass(frozen=True, slots=True)
class RowOutcome:
    """What becomes of a row; `changes` are the columns that change."""

    row: Row
    kind: Kind
    changes: tuple[str, ...] = ()
    violations: tuple[Violation, ...] = ()


@dataclass(slots=True)
class ImportPlan:
    """What becomes of each row, and what there is to be written.

    `adopted` are persons without a name who turn out to be users; `moved` the identifiers that
    leave a person, `left` those persons.
    """

    outcomes: list[RowOutcome] = field(default_factory=list)
    things: dict[str, list[Values]] = field(
        default_factory=lambda: {kind: [] for kind in NAME_COLUMNS}
    )
    adopted: dict[str, int] = field(default_factory=dict)
    lasting: dict[MembershipKey, date | None] = field(default_factory=dict)
    removed: list[MembershipKey] = field(default_factory=list)
    claims: list[IdentifierAssignment] = field(default_factory=list)
    moved: list[int] = field(default_factory=list)
    left: set[int] = field(default_factory=set)

    @property
    def refused(self) -> list[RowOutcome]:
        return [each for each in self.outcomes if each.kind == "refused"]


def make_plan(rows: Sequence[Row], known: StoredPeople) -> ImportPlan:
    """What becomes of the rows; nothing is to be written if one of them is refused."""
    wrong = checks.violations(rows, known)
    good = [row for row in rows if row.index not in wrong]
    claims = resolve(identifier_assignments(good, known.home_page), known.holders)
    made = ImportPlan()
    told = {row.index: _told(row, known, made) for row in checks.without_repeats(good)}
    _adopt(good, claims, known, made)
    for claim in claims:
        _give(claim, known, made, told)
    for row in rows:
        if row.index in wrong:
            made.outcomes.append(RowOutcome(row, "refused", (), wrong[row.index]))
        else:
            made.outcomes.append(told.get(row.index, RowOutcome(row, "unchanged")))
    return made


def _told(row: Row, known: StoredPeople, made: ImportPlan) -> RowOutcome:
    """What a row changes, noted in the plan; of identifiers nothing yet."""
    if row.kind == "membership":
        return _membership(row, known, made)
    if row.kind not in NAME_COLUMNS:
        return RowOutcome(row, "unchanged")
    name = row.values[NAME_COLUMNS[row.kind]]
    before = known.things[row.kind].get(name)
    given = _given(row, known.home_page)
    after = {**(before or _NEW[row.kind]), **given}
    changes = tuple(key for key in given if before and before[key] != after[key])
    if before and not changes:
        return RowOutcome(row, "unchanged")
    if name in known.person_ids and row.kind == "user":
        after["person_id"] = known.person_ids[name]
    made.things[row.kind].append(after)
    return RowOutcome(row, "changed" if before else "added", changes)


def _given(row: Row, home_page: str) -> Values:
    """What a row says, with content items by their activities."""
    given = {key: value for key, value in row.values.items() if key != "type"}
    if given.get("content"):
        given["content"] = track_events.activity_id(given["content"], home_page)
    return given


def _membership(row: Row, known: StoredPeople, made: ImportPlan) -> RowOutcome:
    period, end = checks.membership_key(row), checks.membership_end(row, known)
    is_known = period in known.memberships
    if end == row.values["from"]:
        if not is_known:
            return RowOutcome(row, "unchanged")
        made.removed.append(period)
        return RowOutcome(row, "removed")
    if is_known and known.memberships[period] == end:
        return RowOutcome(row, "unchanged")
    made.lasting[period] = end
    return RowOutcome(row, "changed", ("to",)) if is_known else RowOutcome(row, "added")


def _adopt(
    rows: Iterable[Row],
    claims: Iterable[IdentifierAssignment],
    known: StoredPeople,
    made: ImportPlan,
) -> None:
    """Takes persons without a name for new users who claim an identifier of theirs."""
    nameless: dict[str, dict[int, str | None]] = defaultdict(dict)
    for claim in claims:
        holder = known.holders.get(claim.agent_key)
        if holder and holder.user is None:
            nameless[claim.user][holder.person_id] = holder.email
    added = {each["user"]: each for each in made.things["user"] if "person_id" not in each}
    taken: set[int] = set()
    for row in rows:
        if row.kind != "user" or row.values["user"] not in added:
            continue
        user = added.pop(row.values["user"])
        emails = nameless[user["user"]]
        person_id = min(emails.keys() - taken, default=None)
        if person_id is not None:
            taken.add(person_id)
            user["person_id"] = made.adopted[user["user"]] = person_id
            user["email"] = row.values.get("email", emails[person_id])


def _give(
    claim: IdentifierAssignment, known: StoredPeople, made: ImportPlan, told: dict[int, RowOutcome]
) -> None:
    """Notes what a claim changes, also as what becomes of its row."""
    holder = known.holders.get(claim.agent_key)
    target = known.person_ids.get(claim.user, made.adopted.get(claim.user))
    if holder and holder.person_id == target and (holder.imported or not claim.imported):
        return
    made.claims.append(claim)
    if holder and holder.person_id != target:
        made.moved.append(claim.agent_key)
        made.left.add(holder.person_id)
    before = told.get(claim.row.index)
    if before and before.kind == "unchanged":
        column = "email" if claim.row.kind == "user" else "value"
        added = holder is None and claim.row.kind == "identifier"
        told[claim.row.index] = (
            RowOutcome(claim.row, "added") if added else RowOutcome(claim.row, "changed", (column,))
        )
