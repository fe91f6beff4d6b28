"""Who the agents are that statements speak of: identifiers, and a person for each.

An address and its digest are the same person. An identifier that is known stays where it is; only
an import moves it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lrs import resources
from lrs.projection.events import agent_key
from lrs.store.postgres import Connection
from lrs.xapi.index_keys import mbox_sha1sum_identity

_IDENTIFIERS = resources.query("list_persons_of_identifiers")
_ADD_PEOPLE = resources.query("insert_persons")
_ADD_IDENTIFIERS = resources.query("insert_identifiers")
_SET_EMAILS = resources.query("set_missing_emails")

_MBOX = "mbox mailto:"


async def ensure_persons(
    connection: Connection, partner_id: int, agents: Mapping[int, str]
) -> dict[int, int]:
    """Makes these agents known, who are given by key and identity; returns their persons."""
    known = await _known(connection, partner_id, agents)
    unknown = {key: identity for key, identity in agents.items() if key not in known}
    if not unknown:
        return known
    digests = {
        key: mbox_sha1sum_identity(each) for key, each in unknown.items() if each.startswith(_MBOX)
    }
    heads = {key: agent_key(digests[key]) if key in digests else key for key in unknown}
    emails = {heads[key]: unknown[key].removeprefix(_MBOX) for key in digests}
    known |= await _known(connection, partner_id, heads.values())
    addressed = {known[head]: email for head, email in emails.items() if head in known}
    await _set_emails(connection, partner_id, addressed)
    fresh = dict.fromkeys(head for head in heads.values() if head not in known)
    known |= await _add_people(connection, partner_id, {head: emails.get(head) for head in fresh})
    named = unknown | {
        agent_key(each): each for each in digests.values() if agent_key(each) in fresh
    }
    persons = {key: known[heads.get(key, key)] for key in named}
    await connection.execute(
        _ADD_IDENTIFIERS, partner_id, list(named), list(named.values()), list(persons.values())
    )
    return known | persons


async def _known(connection: Connection, partner_id: int, keys: Iterable[int]) -> dict[int, int]:
    rows = await connection.fetch(_IDENTIFIERS, partner_id, list(keys))
    return {row["agent_key"]: row["person_id"] for row in rows}


async def _add_people(
    connection: Connection, partner_id: int, emails: Mapping[int, str | None]
) -> dict[int, int]:
    """A person for each key. Of those without an address, anyone may be anyone."""
    rows = await connection.fetch(_ADD_PEOPLE, partner_id, list(emails.values()))
    addressed = {row["email"]: row["person_id"] for row in rows if row["email"] is not None}
    others = iter([row["person_id"] for row in rows if row["email"] is None])
    return {
        key: next(others) if email is None else addressed[email] for key, email in emails.items()
    }


async def _set_emails(connection: Connection, partner_id: int, emails: Mapping[int, str]) -> None:
    if emails:
        await connection.execute(_SET_EMAILS, partner_id, list(emails), list(emails.values()))
