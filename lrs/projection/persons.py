"""Persons: the learners behind the agents of statements.

An email address, its SHA-1 and its other spellings identify the same person. An existing identifier
keeps its person; only imports and changes of learners reassign it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from asyncpg import Record

from lrs import resources
from lrs.projection.mail_spellings import MBOX, Spelling, spellings
from lrs.store.postgres import Connection

_PERSONS = resources.query("list_persons_of_identifiers")
_FOLDS_CASE = resources.query("folds_mail_case")
_INSERT_PERSONS = resources.query("insert_persons")
_INSERT_IDENTIFIERS = resources.query("insert_identifiers")
_SET_MISSING_EMAILS = resources.query("set_missing_emails")
_SET_NAMES = resources.query("set_identifier_names")

Persons = dict[int, int | None]
"""The person id by agent key; None for a deleted person, of whom reports show nothing."""


def visible_ids(persons: Persons) -> set[int]:
    """The ids of persons who are not deleted."""
    return {person_id for person_id in persons.values() if person_id is not None}


def visible_names(names: Mapping[int, str], persons: Persons) -> dict[int, str]:
    """The names of agents whose persons are not deleted, by agent key."""
    return {key: name for key, name in names.items() if persons[key] is not None}


async def ensure_persons(
    connection: Connection, partner_id: int, agents: Mapping[int, str]
) -> Persons:
    """The person of each agent; persons and identifiers that do not exist are inserted.

    `agents` maps agent keys to identities. The result has these keys, and those of other spellings
    of new addresses.
    """
    stored = await _fetch_persons(connection, partner_id, agents)
    new = {key: identity for key, identity in agents.items() if key not in stored.ids}
    if new:
        folds_case = await folds_mail_case(connection, partner_id)
        await _insert_agents(connection, partner_id, new, stored, folds_case=folds_case)
    return {key: None if id_ in stored.deleted else id_ for key, id_ in stored.ids.items()}


async def folds_mail_case(connection: Connection, partner_id: int) -> bool:
    """Whether the identifiers of a partner are assigned without regard to letter case."""
    return bool(await connection.fetchval(_FOLDS_CASE, partner_id))


class _StoredPersons:
    """Person ids by agent key, and the ids of deleted persons."""

    def __init__(self, rows: Iterable[Record]) -> None:
        self.ids: dict[int, int] = {}
        self.deleted: set[int] = set()
        self.add(rows)

    def add(self, rows: Iterable[Record]) -> None:
        for row in rows:
            self.ids[row["agent_key"]] = row["person_id"]
            if row["deleted"]:
                self.deleted.add(row["person_id"])


async def _insert_agents(
    connection: Connection,
    partner_id: int,
    new: Mapping[int, str],
    stored: _StoredPersons,
    *,
    folds_case: bool,
) -> None:
    """Insert new agents with their persons; the ids are added to `stored`."""
    # Addresses first: a SHA-1 in the same batch belongs to its address.
    ordered = sorted(new.values(), key=lambda identity: not identity.startswith(MBOX))
    groups = [spellings(identity, folds_case=folds_case) for identity in ordered]
    keys = {spelling.agent_key for group in groups for spelling in group}
    stored.add(await connection.fetch(_PERSONS, partner_id, list(keys - stored.ids.keys())))
    before = dict(stored.ids)
    owners = _assign(groups, before)
    added = [group for group, owner in zip(groups, owners, strict=True) if owner is group]
    ids = await _insert_persons(connection, partner_id, [_email(group) for group in added])
    id_of = {id(group): person_id for group, person_id in zip(added, ids, strict=True)}
    inserted: dict[int, tuple[Spelling, int]] = {}
    emails: dict[int, str] = {}
    for group, owner in zip(groups, owners, strict=True):
        person_id = owner if isinstance(owner, int) else id_of[id(owner)]
        if isinstance(owner, int) and (email := _email(group)):
            emails.setdefault(owner, email)
        for spelling in group:
            if spelling.agent_key not in before:
                inserted.setdefault(spelling.agent_key, (spelling, person_id))
    await _set_missing_emails(connection, partner_id, emails)
    await insert_identifiers(connection, partner_id, inserted)
    stored.ids |= {key: person_id for key, (_, person_id) in inserted.items()}


_Group = list[Spelling]


def _assign(groups: list[_Group], stored: Mapping[int, int]) -> list[int | _Group]:
    """The owner of each group: a stored person, or the first group of a new one."""
    owners: list[int | _Group] = []
    new: dict[int, _Group] = {}
    for group in groups:
        match: int | _Group | None = None
        # The address in lower case comes before the SHA-1 of another spelling.
        for key, _, _ in group[1:] or group:
            match = stored.get(key, new.get(key))
            if match is not None:
                break
        owner = group if match is None else match
        owners.append(owner)
        if isinstance(owner, list):
            new |= {
                spelling.agent_key: owner for spelling in group if spelling.agent_key not in new
            }
    return owners


def _email(group: _Group) -> str | None:
    identity = group[0].identity
    return identity.removeprefix(MBOX) if identity.startswith(MBOX) else None


async def set_names(connection: Connection, partner_id: int, names: Mapping[int, str]) -> None:
    """Set the names that statements have beside identifiers; `names` are by agent key."""
    if names:
        await connection.execute(_SET_NAMES, partner_id, list(names), list(names.values()))


async def _fetch_persons(
    connection: Connection, partner_id: int, agent_keys: Iterable[int]
) -> _StoredPersons:
    return _StoredPersons(await connection.fetch(_PERSONS, partner_id, list(agent_keys)))


async def _insert_persons(
    connection: Connection, partner_id: int, emails: list[str | None]
) -> list[int]:
    """Insert a person for each email or None; return the ids in this order."""
    if not emails:
        return []
    rows = await connection.fetch(_INSERT_PERSONS, partner_id, emails)
    with_email = {row["email"]: row["person_id"] for row in rows if row["email"] is not None}
    # New persons without an email are interchangeable.
    without_email = iter(sorted(row["person_id"] for row in rows if row["email"] is None))
    return [next(without_email) if email is None else with_email[email] for email in emails]


async def _set_missing_emails(
    connection: Connection, partner_id: int, emails: Mapping[int, str]
) -> None:
    """Set the email of persons who have none; `emails` are by person id."""
    if emails:
        await connection.execute(
            _SET_MISSING_EMAILS, partner_id, list(emails), list(emails.values())
        )


async def insert_identifiers(
    connection: Connection, partner_id: int, identifiers: Mapping[int, tuple[Spelling, int]]
) -> None:
    """Insert identifiers by agent key: their spelling and the person that they belong to."""
    await connection.execute(
        _INSERT_IDENTIFIERS,
        partner_id,
        list(identifiers),
        [spelling.identity for spelling, _ in identifiers.values()],
        [person_id for _, person_id in identifiers.values()],
        [spelling.folded_key for spelling, _ in identifiers.values()],
    )
