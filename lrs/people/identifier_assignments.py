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
from lrs.xapi import index_keys, track_events
from lrs.xapi.validation_messages import excerpt

_MBOX = "mbox mailto:"


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


@dataclass(frozen=True, slots=True)
class IdentifierAssignment:
    """An identifier that a row assigns to a user; not `imported` if derived from an address."""

    agent_key: int
    identity: str
    user: str
    row: Row
    imported: bool

    @property
    def values(self) -> Values:
        """The columns of the stored identifier, with the user's name."""
        return {
            "agent_key": self.agent_key,
            "identity": self.identity,
            "user": self.user,
            "imported": self.imported,
        }


def assigned_identifiers(rows: Iterable[Row], home_page: str) -> Iterator[IdentifierAssignment]:
    """The identifiers in these rows, each address followed by its SHA-1; the rows are valid."""
    for row in rows:
        agent = _agent(row.kind, row.values, home_page)
        identity = index_keys.agent_identity(agent) if agent else None
        if identity is None:
            continue
        user = row.values["user"]
        yield IdentifierAssignment(_key(identity), identity, user, row, imported=True)
        if identity.startswith(_MBOX):
            sha1 = index_keys.mbox_sha1sum_identity(identity)
            yield IdentifierAssignment(_key(sha1), sha1, user, row, imported=False)


def _key(identity: str) -> int:
    return index_keys.entity_key("agent", identity)


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
        first = first_assignments.setdefault(identifier.agent_key, identifier)
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
            found = f"that of the deleted learner id:{owner.person_id}; restore the learner first"
        elif owner.user is not None and not merge:
            found = f"that of {excerpt(owner.user)}; a merge moves it with its events"
        else:
            continue
        row = identifier.row
        column = "email" if row.kind == "user" else "value"
        detail = f"expected an identifier of no other learner, found {found}"
        violation = Violation(f"/{column}", detail, f"People: {row.kind}.{column}")
        foreign.append((identifier, violation))
    return foreign


def resolve(
    identifiers: Iterable[IdentifierAssignment], owners: Mapping[int, IdentifierOwner]
) -> list[IdentifierAssignment]:
    """One assignment for each identifier: explicit ones take precedence over derived ones.

    A derived one is left out if an earlier import assigned the identifier explicitly.
    """
    resolved: dict[int, IdentifierAssignment] = {}
    for identifier in sorted(identifiers, key=lambda identifier: not identifier.imported):
        owner = owners.get(identifier.agent_key)
        if identifier.imported or not (owner and owner.imported):
            resolved.setdefault(identifier.agent_key, identifier)
    return list(resolved.values())
