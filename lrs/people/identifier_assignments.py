"""Which identifiers an import gives to which user.

An address brings its SHA-1 along (xAPI 1.0.3 Data 2.4.2.3), unless the import, or one before it,
gives that to somebody by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from lrs.errors import Violation
from lrs.people.rows import Row, Values
from lrs.xapi import index_keys, track_events
from lrs.xapi.validation_messages import excerpt

_MBOX = "mbox mailto:"


class IdentifierOwner(NamedTuple):
    """Whose an identifier is: a person, the user who that is, and whether an import said so."""

    person_id: int
    user: str | None
    imported: bool
    email: str | None


@dataclass(frozen=True, slots=True)
class IdentifierAssignment:
    """That a row gives an identifier to a user; `imported` unless it only comes along."""

    agent_key: int
    identity: str
    user: str
    row: Row
    imported: bool

    @property
    def values(self) -> Values:
        """What is kept of it."""
        return {
            "agent_key": self.agent_key,
            "identity": self.identity,
            "user": self.user,
            "imported": self.imported,
        }


def identifier_assignments(rows: Iterable[Row], home_page: str) -> Iterator[IdentifierAssignment]:
    """What the rows claim, and behind each address its digest."""
    for row in rows:
        agent = _agent(row.kind, row.values, home_page)
        identity = index_keys.agent_identity(agent) if agent else None
        if identity is None:
            continue
        user = row.values["user"]
        yield IdentifierAssignment(
            index_keys.entity_key("agent", identity), identity, user, row, True
        )
        if identity.startswith(_MBOX):
            other = index_keys.mbox_sha1sum_identity(identity)
            yield IdentifierAssignment(
                index_keys.entity_key("agent", other), other, user, row, False
            )


def _agent(kind: str, values: Values, home_page: str) -> dict[str, Any] | None:
    """The identifier that a row gives to its user, as an agent has it."""
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


def duplicates(claims: Iterable[IdentifierAssignment]) -> Iterator[tuple[Row, Violation]]:
    """Rows that give to a user what another row gives to another one."""
    firsts: dict[int, IdentifierAssignment] = {}
    for claim in claims:
        first = firsts.setdefault(claim.agent_key, claim) if claim.imported else claim
        if first.user != claim.user:
            column = "email" if claim.row.kind == "user" else "value"
            detail = (
                f"expected an identifier of one user only, found that of {excerpt(first.user)} in "
                f"{first.row.location}"
            )
            rule = f"People: {claim.row.kind}.{column}"
            yield claim.row, Violation(f"/{column}", detail, rule)


def resolve(
    claims: Iterable[IdentifierAssignment], holders: Mapping[int, IdentifierOwner]
) -> list[IdentifierAssignment]:
    """One claim for each identifier, if there is any that holds."""
    settled: dict[int, IdentifierAssignment] = {}
    for claim in sorted(claims, key=lambda each: not each.imported):
        holder = holders.get(claim.agent_key)
        if claim.imported or not (holder and holder.imported):
            settled.setdefault(claim.agent_key, claim)
    return list(settled.values())
