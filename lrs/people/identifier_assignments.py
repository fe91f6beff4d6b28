"""The identifiers that an import assigns to users.

An email address assigns its SHA-1 too (xAPI 1.0.3 Data 2.4.2.3), unless this or an earlier import
assigns the SHA-1 explicitly.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from lrs.errors import Violation
from lrs.imports.rows import Row, Values
from lrs.projection.mail_spellings import spellings
from lrs.xapi import index_keys, track_events
from lrs.xapi.validation_messages import excerpt


class IdentifierOwner(NamedTuple):
    """The person whom a stored identifier belongs to.

    `user` is the operator's name, None for a person only seen in statements. `imported` if an
    import assigned the identifier explicitly; `deleted` if reports do not show the person.
    """

    person_id: int
    user: str | None
    imported: bool
    email: str | None
    deleted: bool
    identity: str = ""
    folded_key: int | None = None


@dataclass(frozen=True, slots=True)
class IdentifierAssignment:
    """An identifier that a row assigns to a user; not `imported` if derived from an address.

    `folded_key` is that of a spelling. `is_folded` if it is the address in lower case.
    """

    agent_key: int
    identity: str
    user: str
    row: Row
    imported: bool
    folded_key: int | None = None
    is_folded: bool = False

    @property
    def values(self) -> Values:
        """The columns of the stored identifier, with the user's name."""
        return {
            "agent_key": self.agent_key,
            "identity": self.identity,
            "user": self.user,
            "imported": self.imported,
            "folded_key": self.folded_key,
        }


def assigned_identifiers(
    rows: Iterable[Row], home_page: str, *, folds_case: bool
) -> Iterator[IdentifierAssignment]:
    """The identifiers in these rows, each address followed by those derived from it.

    The rows are valid. `folds_case`: see lrs.projection.mail_spellings.
    """
    for row in rows:
        agent = _agent(row.kind, row.values, home_page)
        identity = index_keys.agent_identity(agent) if agent else None
        if identity is None:
            continue
        own, *derived = spellings(identity, folds_case=folds_case)
        user = row.values["user"]
        yield IdentifierAssignment(*own[:2], user, row, imported=True, folded_key=own.folded_key)
        for key, other, folded_key in derived:
            yield IdentifierAssignment(
                key,
                other,
                user,
                row,
                imported=False,
                folded_key=folded_key,
                is_folded=key == own.folded_key,
            )


def _agent(kind: str, values: Values, home_page: str) -> dict[str, Any] | None:
    """The identifier of a row as an xAPI agent; None if the row has none."""
    if kind == "user":
        email = values.get("email")
        return {"mbox": f"mailto:{email}"} if email else None
    if kind != "identifier":
        return None
    value: str = values["value"]
    match values["kind"]:
        case "account":
            return {"account": {"homePage": values["home_page"], "name": value}}
        case "track":
            return track_events.identifier(value, home_page)
        case "mbox":
            return {"mbox": value if value.startswith("mailto:") else f"mailto:{value}"}
        case other:
            return {other: value}


def duplicates(identifiers: Iterable[IdentifierAssignment]) -> Iterator[tuple[Row, Violation]]:
    """Rows with an identifier that an earlier row assigns to another user."""
    first_assignments: dict[int, IdentifierAssignment] = {}
    for identifier in identifiers:
        if not identifier.imported:
            continue
        key = identifier.folded_key or identifier.agent_key
        first = first_assignments.setdefault(key, identifier)
        if first.user != identifier.user:
            row = identifier.row
            column = "email" if row.kind == "user" else "value"
            detail = (
                f"expected an identifier of one user only, found that of {excerpt(first.user)} in "
                f"{first.row.location}"
            )
            yield row, Violation(f"/{column}", detail, f"People: {row.kind}.{column}")


def foreign_identifiers(
    identifiers: Iterable[IdentifierAssignment],
    owners: Mapping[int, IdentifierOwner],
    *,
    merge: bool,
) -> list[tuple[IdentifierAssignment, Violation]]:
    """Assignments of identifiers that belong to another user, unless they merge.

    An identifier of a learner who is only seen in statements is nobody else's. That of a deleted
    learner is refused always: the import would bring back what was deleted.
    """
    foreign = []
    for identifier in identifiers:
        owner = owners.get(identifier.agent_key)
        if owner is None or owner.user == identifier.user:
            continue
        if owner.deleted:
            holder = f"that of the deleted learner id:{owner.person_id}; restore the learner first"
        elif owner.user is not None and not merge:
            holder = f"that of {excerpt(owner.user)}; a merge moves it with its events"
        else:
            continue
        row = identifier.row
        column = "email" if row.kind == "user" else "value"
        detail = f"expected an identifier of no other learner, found {holder}"
        violation = Violation(f"/{column}", detail, f"People: {row.kind}.{column}")
        foreign.append((identifier, violation))
    return foreign


def resolve(
    identifiers: Iterable[IdentifierAssignment], owners: Mapping[int, IdentifierOwner]
) -> list[IdentifierAssignment]:
    """One assignment for each identifier: explicit ones take precedence over derived ones.

    A derived one is left out if an earlier import assigned the identifier explicitly, but for the
    address in lower case: it is the same address. Other spellings of it that statements introduced
    follow it.
    """
    resolved: dict[int, IdentifierAssignment] = {}
    for identifier in sorted(identifiers, key=lambda identifier: not identifier.imported):
        owner = owners.get(identifier.agent_key)
        if identifier.imported or identifier.is_folded or not (owner and owner.imported):
            resolved.setdefault(identifier.agent_key, identifier)
    for key, owner in owners.items():
        if owner.folded_key is None or owner.imported or key in resolved:
            continue
        if root := resolved.get(owner.folded_key):
            resolved[key] = IdentifierAssignment(
                key, owner.identity, root.user, root.row, False, owner.folded_key
            )
    return list(resolved.values())
