"""The plan of an import: the outcome of each row, and what is to be written."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Literal

from lrs.errors import Violation
from lrs.imports.rows import Row, Values
from lrs.people import checks
from lrs.people.checks import NAME_COLUMNS, MembershipKey, StoredPeople
from lrs.people.identifier_assignments import (
    IdentifierAssignment,
    assigned_identifiers,
    foreign_identifiers,
    resolve,
)
from lrs.xapi import track_events

Kind = Literal["added", "changed", "removed", "unchanged", "refused"]

_DEFAULTS: dict[str, Values] = {
    "user": dict.fromkeys(("email", "first_name", "last_name", "slug")),
    "group": {"title": None},
    "team": dict.fromkeys(("organization", "created_date", "updated_date", "deleted_date")),
    "assignment": {
        **dict.fromkeys(("content", "organization", "xp", "created_by")),
        **dict.fromkeys(("due_at", "created_at", "updated_at", "deleted_at")),
        "status": "active",
    },
}
"""The values of columns that a new entity lacks, by kind."""


@dataclass(frozen=True, slots=True)
class RowOutcome:
    """The outcome of a row; `changes` are the columns that change.

    `moved_events` counts the events that move from another learner to the user of the row; of a
    refused row, those that a merge would move.
    """

    row: Row
    kind: Kind
    changes: tuple[str, ...] = ()
    violations: tuple[Violation, ...] = ()
    moved_events: int = 0


@dataclass(slots=True)
class ImportPlan:
    """The outcome of each row, and what is to be written.

    entities             new and changed entities by kind; existing users have their `person_id`
    matched_persons      ids of persons from statements who turn out to be new users, by user
    memberships          to insert or update: the first day after each
    removed_memberships  to delete
    identifiers          to insert or update
    reassigned_keys      agent keys that move from one person to another
    previous_owners      persons who lose an identifier
    moving_keys          agent keys that move, or would with a merge: the index of their row
    moving_from          the owners of these
    """

    outcomes: list[RowOutcome] = field(default_factory=list)
    entities: dict[str, list[Values]] = field(
        default_factory=lambda: {kind: [] for kind in NAME_COLUMNS}
    )
    matched_persons: dict[str, int] = field(default_factory=dict)
    memberships: dict[MembershipKey, date | None] = field(default_factory=dict)
    removed_memberships: list[MembershipKey] = field(default_factory=list)
    identifiers: list[IdentifierAssignment] = field(default_factory=list)
    reassigned_keys: list[int] = field(default_factory=list)
    previous_owners: set[int] = field(default_factory=set)
    moving_keys: dict[int, int] = field(default_factory=dict)
    moving_from: set[int] = field(default_factory=set)

    def count_moved_events(self, counts: Mapping[int, int]) -> None:
        """Add the numbers of events of moving identifiers, by agent key, to the outcomes."""
        events: Counter[int] = Counter()
        for agent_key, count in counts.items():
            events[self.moving_keys[agent_key]] += count
        self.outcomes = [
            replace(outcome, moved_events=events[outcome.row.index])
            if outcome.row.index in events
            else outcome
            for outcome in self.outcomes
        ]

    @property
    def refused(self) -> list[RowOutcome]:
        """The outcomes of invalid rows; with any, nothing is to be written."""
        return [outcome for outcome in self.outcomes if outcome.kind == "refused"]


def make_plan(rows: Sequence[Row], stored: StoredPeople, *, merge: bool = False) -> ImportPlan:
    """The plan for importing these rows; nothing is to be written if one is refused.

    With `merge`, identifiers of other users move to the users of the rows; else they are refused.
    """
    invalid = checks.violations(rows, stored)
    valid = [row for row in rows if row.index not in invalid]
    plan = ImportPlan()
    identifiers = _identifiers(valid, stored)
    if foreign := foreign_identifiers(identifiers, stored.owners, merge=merge):
        for identifier, violation in foreign:
            index = identifier.row.index
            # An address and its SHA-1 have the same violation.
            invalid[index] = tuple(dict.fromkeys((*invalid.get(index, ()), violation)))
            _add_move(identifier, stored, plan)
        valid = [row for row in valid if row.index not in invalid]
        identifiers = _identifiers(valid, stored)
    outcomes = {row.index: _plan_row(row, stored, plan) for row in checks.without_repeats(valid)}
    _match_persons(valid, identifiers, stored, plan)
    for identifier in identifiers:
        _plan_identifier(identifier, stored, plan, outcomes)
    for row in rows:
        if row.index in invalid:
            plan.outcomes.append(RowOutcome(row, "refused", (), invalid[row.index]))
        else:
            plan.outcomes.append(outcomes.get(row.index, RowOutcome(row, "unchanged")))
    return plan


def _identifiers(rows: Iterable[Row], stored: StoredPeople) -> list[IdentifierAssignment]:
    assigned = assigned_identifiers(rows, stored.home_page, folds_case=stored.folds_case)
    return resolve(assigned, stored.owners)


def _plan_row(row: Row, stored: StoredPeople, plan: ImportPlan) -> RowOutcome:
    """Add the changes of a row to the plan, but not its identifiers."""
    if row.kind == "membership":
        return _plan_membership(row, stored, plan)
    if row.kind not in NAME_COLUMNS:
        return RowOutcome(row, "unchanged")
    name = row.values[NAME_COLUMNS[row.kind]]
    before = stored.entities[row.kind].get(name)
    values = _entity_values(row, stored.home_page)
    after = {**(before or _DEFAULTS[row.kind]), **values}
    changes = tuple(column for column in values if before and before[column] != after[column])
    if before and not changes:
        return RowOutcome(row, "unchanged")
    if name in stored.person_ids and row.kind == "user":
        after["person_id"] = stored.person_ids[name]
    plan.entities[row.kind].append(after)
    return RowOutcome(row, "changed" if before else "added", changes)


def _entity_values(row: Row, home_page: str) -> Values:
    """The columns of the entity, with the activity id as `content`."""
    values = {column: value for column, value in row.values.items() if column != "type"}
    if values.get("content"):
        values["content"] = track_events.activity_id(values["content"], home_page)
    return values


def _plan_membership(row: Row, stored: StoredPeople, plan: ImportPlan) -> RowOutcome:
    key, end = checks.membership_key(row), checks.membership_end(row, stored)
    exists = key in stored.memberships
    if end == row.values["from"]:
        if not exists:
            return RowOutcome(row, "unchanged")
        plan.removed_memberships.append(key)
        return RowOutcome(row, "removed")
    if exists and stored.memberships[key] == end:
        return RowOutcome(row, "unchanged")
    plan.memberships[key] = end
    return RowOutcome(row, "changed", ("to",)) if exists else RowOutcome(row, "added")


def _match_persons(
    rows: Iterable[Row],
    identifiers: Iterable[IdentifierAssignment],
    stored: StoredPeople,
    plan: ImportPlan,
) -> None:
    """Let each new user take over a person from statements who owns one of their identifiers."""
    candidates: dict[str, dict[int, str | None]] = defaultdict(dict)
    for identifier in identifiers:
        owner = stored.owners.get(identifier.agent_key)
        if owner and owner.user is None:
            candidates[identifier.user][owner.person_id] = owner.email
    new_users = {user["user"]: user for user in plan.entities["user"] if "person_id" not in user}
    matched: set[int] = set()
    for row in rows:
        if row.kind != "user" or row.values["user"] not in new_users:
            continue
        user = new_users.pop(row.values["user"])
        emails = candidates[user["user"]]
        person_id = min(emails.keys() - matched, default=None)
        if person_id is not None:
            matched.add(person_id)
            user["person_id"] = plan.matched_persons[user["user"]] = person_id
            user["email"] = row.values.get("email", emails[person_id])


def _plan_identifier(
    identifier: IdentifierAssignment,
    stored: StoredPeople,
    plan: ImportPlan,
    outcomes: dict[int, RowOutcome],
) -> None:
    """Add an assignment to the plan, and to the outcome of its row if that was unchanged."""
    owner = stored.owners.get(identifier.agent_key)
    user = identifier.user
    person_id = stored.person_ids.get(user, plan.matched_persons.get(user))
    is_own = owner is not None and owner.person_id == person_id
    if owner and is_own and (owner.imported or not identifier.imported):
        return
    plan.identifiers.append(identifier)
    if owner and not is_own:
        plan.reassigned_keys.append(identifier.agent_key)
        plan.previous_owners.add(owner.person_id)
        _add_move(identifier, stored, plan)
    row = identifier.row
    outcome = outcomes.get(row.index)
    if outcome and outcome.kind == "unchanged":
        if owner is None and row.kind == "identifier":
            outcomes[row.index] = RowOutcome(row, "added")
        else:
            column = "email" if row.kind == "user" else "value"
            outcomes[row.index] = RowOutcome(row, "changed", (column,))


def _add_move(identifier: IdentifierAssignment, stored: StoredPeople, plan: ImportPlan) -> None:
    plan.moving_keys[identifier.agent_key] = identifier.row.index
    plan.moving_from.add(stored.owners[identifier.agent_key].person_id)
