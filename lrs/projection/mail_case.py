"""Regrouping learners when the setting `fold_mail_case` of their partner changes.

The setting also applies to a database of an earlier version, whose identifiers were assigned by
exact spellings. Imported identifiers keep their users: of two users whose addresses differ in
letter case only, neither is merged.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence

from asyncpg import Record

from lrs import resources
from lrs.projection.mail_spellings import MBOX, Spelling, folded, spellings
from lrs.projection.person_merge import fetch_pairs, merge_persons
from lrs.projection.persons import ensure_persons, insert_identifiers
from lrs.projection.recompute import recompute_all
from lrs.store.postgres import Connection

_MODE = resources.query("get_mail_case_mode")
_SET_MODE = resources.query("set_mail_case_mode")
_MIXED = resources.query("list_mixed_case_identifiers")
_OWNERS = resources.query("list_owners_of_identifiers")
_LINK = resources.query("link_identifiers")
_FOLDED = resources.query("list_folded_identifiers")
_CLEAR_FOLDED = resources.query("clear_folded_keys")
_EVENT_KEYS = resources.query("list_event_keys_of_identifiers")
_DELETE_IDENTIFIERS = resources.query("delete_identifiers")
_REASSIGN_EVENTS = resources.query("reassign_events")
_DELETE_PERSONS = resources.query("delete_anonymous_persons")

_log = logging.getLogger(__name__)


async def apply_setting(connection: Connection, partner_id: int) -> bool:
    """Regroup the learners of a partner if its setting has changed; call under its lock.

    Returns whether they were regrouped.
    """
    row = await connection.fetchrow(_MODE, partner_id)
    if row is None or row["applied"] == row["wanted"]:
        return False
    await connection.execute(_SET_MODE, partner_id, row["wanted"])
    if row["wanted"]:
        await _group(connection, partner_id)
    elif row["applied"]:
        await _separate(connection, partner_id)
    return True


async def _group(connection: Connection, partner_id: int) -> None:
    """Merge the learners whose addresses differ in letter case only."""
    rows = await connection.fetch(_MIXED, partner_id)
    groups = [
        spellings(row["identity"], folds_case=True)
        for row in rows
        if folded(row["identity"]) != row["identity"]
    ]
    keys = {spelling.agent_key for group in groups for spelling in group}
    owners = await connection.fetch(_OWNERS, partner_id, sorted(keys))
    person_of = {row["agent_key"]: row["person_id"] for row in owners}
    persons: defaultdict[int, set[int]] = defaultdict(set)
    for group in groups:
        persons[_root_key(group)].update(
            person_of[spelling.agent_key] for spelling in group if spelling.agent_key in person_of
        )
    merges, apart = _merges(persons, {row["person_id"]: row for row in owners})
    # A person with several addresses can be in several groups.
    targets = {person_id: _final(person_id, merges) for person_id in merges}
    if targets or apart:
        _log.info(
            "partner %d: %d learners are merged whose mail addresses differ in letter case only; "
            "%d addresses belong to several users or to a deleted learner and stay apart",
            partner_id,
            len(targets),
            len(apart),
        )
    await merge_persons(connection, partner_id, targets)
    await _link(connection, partner_id, [item for item in groups if _root_key(item) not in apart])


def _root_key(group: list[Spelling]) -> int:
    """The agent key of the address in lower case."""
    return group[0].folded_key or group[0].agent_key


def _merges(
    groups: Mapping[int, set[int]], owners: Mapping[int, Record]
) -> tuple[dict[int, int], set[int]]:
    """Into whom each person is merged, and the keys of groups that cannot be merged.

    The target is the imported person, else that with the lowest id.
    """
    merges: dict[int, int] = {}
    apart: set[int] = set()
    for key, person_ids in groups.items():
        distinct = {_final(person_id, merges) for person_id in person_ids}
        imported = {person_id for person_id in distinct if owners[person_id]["user"] is not None}
        is_deleted = any(owners[person_id]["deleted"] for person_id in distinct)
        if len(imported) > 1 or (is_deleted and len(distinct) > 1):
            apart.add(key)
            continue
        target = min(imported or distinct)
        merges |= dict.fromkeys(distinct - {target}, target)
    return merges, apart


def _final(person_id: int, merges: Mapping[int, int]) -> int:
    while person_id in merges:
        person_id = merges[person_id]
    return person_id


async def _link(connection: Connection, partner_id: int, groups: Sequence[list[Spelling]]) -> None:
    """Record which identifiers are other spellings, and add those that are missing."""
    keys = {spelling.agent_key for group in groups for spelling in group}
    rows = await connection.fetch(_OWNERS, partner_id, sorted(keys))
    owners = {row["agent_key"]: row["person_id"] for row in rows}
    missing = {
        spelling.agent_key: (spelling, owners[group[0].agent_key])
        for group in groups
        for spelling in group
        if spelling.agent_key not in owners
    }
    await insert_identifiers(connection, partner_id, missing)
    linked = {
        spelling.agent_key: spelling.folded_key
        for group in groups
        for spelling in group
        if spelling.folded_key is not None
    }
    await connection.execute(_LINK, partner_id, list(linked), list(linked.values()))


async def _separate(connection: Connection, partner_id: int) -> None:
    """Give every spelling its own learner again, but for imported ones.

    A learner whom no import matched keeps the spelling of its email.
    """
    rows = await connection.fetch(_FOLDED, partner_id)
    kept = {
        spelling.agent_key
        for row in rows
        if row["imported"] or (row["user"] is None and row["identity"] == f"{MBOX}{row['email']}")
        for spelling in spellings(row["identity"], folds_case=False)
    }
    grouped = {
        spelling.agent_key
        for row in rows
        if row["folded_key"] is not None
        for spelling in spellings(row["identity"], folds_case=True)
    }
    removed = {
        row["agent_key"]: row
        for row in rows
        if row["agent_key"] in grouped and row["agent_key"] not in kept
    }
    person_ids = {row["person_id"] for row in removed.values()}
    used = {
        row["agent_key"]
        for row in await connection.fetch(
            _EVENT_KEYS, partner_id, sorted(person_ids), list(removed)
        )
    }
    before = await fetch_pairs(connection, partner_id, person_ids)
    await connection.execute(_DELETE_IDENTIFIERS, partner_id, list(removed))
    agents = {key: removed[key]["identity"] for key in removed if key in used}
    await connection.execute(_CLEAR_FOLDED, partner_id)
    await ensure_persons(connection, partner_id, agents)
    await connection.execute(_REASSIGN_EVENTS, partner_id, sorted(person_ids), list(agents))
    owners = await connection.fetch(_OWNERS, partner_id, list(agents))
    after = await fetch_pairs(connection, partner_id, {row["person_id"] for row in owners})
    await recompute_all(connection, partner_id, [*before, *after])
    await connection.execute(_DELETE_PERSONS, partner_id, sorted(person_ids))
