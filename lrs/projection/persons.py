"""Persons: the learners behind the agents of statements.

An email address and its SHA-1 identify the same person. An existing identifier keeps its person;
only an import reassigns it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lrs import resources
from lrs.projection.events import agent_key
from lrs.store.postgres import Connection
from lrs.xapi.index_keys import mbox_sha1sum_identity

_PERSONS = resources.query("list_persons_of_identifiers")
_INSERT_PERSONS = resources.query("insert_persons")
_INSERT_IDENTIFIERS = resources.query("insert_identifiers")
_SET_MISSING_EMAILS = resources.query("set_missing_emails")
_SET_NAMES = resources.query("set_identifier_names")

_MBOX = "mbox mailto:"


async def ensure_persons(
    connection: Connection, partner_id: int, agents: Mapping[int, str]
) -> dict[int, int]:
    """The person id of each agent; persons and identifiers that do not exist are inserted.

    `agents` maps agent keys to identities. The result has these keys, and those of the SHA-1 of
    new addresses.
    """
    existing = await _fetch_persons(connection, partner_id, agents)
    new = {key: identity for key, identity in agents.items() if key not in existing}
    if not new:
        return existing
    sha1s = {
        key: mbox_sha1sum_identity(identity)
        for key, identity in new.items()
        if identity.startswith(_MBOX)
    }
    # The key by which a person is found: of an address that of its SHA-1, else the agent's own.
    person_keys = {key: agent_key(sha1s[key]) if key in sha1s else key for key in new}
    emails = {person_keys[key]: new[key].removeprefix(_MBOX) for key in sha1s}
    persons = existing | await _fetch_persons(connection, partner_id, person_keys.values())
    known_by_sha1 = {persons[key]: email for key, email in emails.items() if key in persons}
    await _set_missing_emails(connection, partner_id, known_by_sha1)
    added = dict.fromkeys(key for key in person_keys.values() if key not in persons)
    persons |= await _insert_persons(
        connection, partner_id, {key: emails.get(key) for key in added}
    )
    identifiers = new | {
        key: identity for identity in sha1s.values() if (key := agent_key(identity)) in added
    }
    owners = {key: persons[person_keys.get(key, key)] for key in identifiers}
    await connection.execute(
        _INSERT_IDENTIFIERS,
        partner_id,
        list(identifiers),
        list(identifiers.values()),
        list(owners.values()),
    )
    return persons | owners


async def set_names(connection: Connection, partner_id: int, names: Mapping[int, str]) -> None:
    """Set the names that statements have beside identifiers; `names` are by agent key."""
    if names:
        await connection.execute(_SET_NAMES, partner_id, list(names), list(names.values()))


async def _fetch_persons(
    connection: Connection, partner_id: int, agent_keys: Iterable[int]
) -> dict[int, int]:
    rows = await connection.fetch(_PERSONS, partner_id, list(agent_keys))
    return {row["agent_key"]: row["person_id"] for row in rows}


async def _insert_persons(
    connection: Connection, partner_id: int, emails: Mapping[int, str | None]
) -> dict[int, int]:
    """Insert a person for each key. New persons without an email are interchangeable."""
    rows = await connection.fetch(_INSERT_PERSONS, partner_id, list(emails.values()))
    with_email = {row["email"]: row["person_id"] for row in rows if row["email"] is not None}
    without_email = iter([row["person_id"] for row in rows if row["email"] is None])
    return {
        key: next(without_email) if email is None else with_email[email]
        for key, email in emails.items()
    }


async def _set_missing_emails(
    connection: Connection, partner_id: int, emails: Mapping[int, str]
) -> None:
    """Set the email of persons who have none; `emails` are by person id."""
    if emails:
        await connection.execute(
            _SET_MISSING_EMAILS, partner_id, list(emails), list(emails.values())
        )
