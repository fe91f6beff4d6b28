"""Importing people: one transaction that reads what is known, and writes what is to change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from itertools import islice, starmap
from typing import Any

import orjson

from lrs import resources
from lrs.people import plan
from lrs.people.checks import NAME_COLUMNS, MembershipKey, StoredPeople, referenced_names
from lrs.people.identifier_assignments import IdentifierOwner, identifier_assignments
from lrs.people.plan import ImportPlan
from lrs.people.rows import Row, Values
from lrs.projection import recompute
from lrs.projection.partner_lock import PartnerLock
from lrs.store.postgres import Connection, Pool, retry_transaction, translate_errors
from lrs.xapi import index_keys

_THINGS = {
    "user": resources.query("list_users"),
    "group": resources.query("list_groups"),
    "team": resources.query("list_teams"),
    "assignment": resources.query("list_assignments"),
}
_MEMBERSHIPS = resources.query("list_memberships")
_HOLDERS = resources.query("list_identifier_owners")
_ADD_USERS = resources.query("insert_users")
_SET_USERS = resources.query("update_users")
_PUT_GROUPS = resources.query("upsert_groups")
_PUT_TEAMS = resources.query("upsert_teams")
_PUT_IDENTIFIERS = resources.query("upsert_identifiers")
_PUT_MEMBERSHIPS = resources.query("upsert_memberships")
_REMOVE_MEMBERSHIPS = resources.query("delete_memberships")
_ADD_CONTENTS = resources.query("insert_assigned_content_items")
_PUT_ASSIGNMENTS = resources.query("upsert_assignments")
_MOVE_EVENTS = resources.query("reassign_events")
_TOUCHED = resources.query("list_affected_pairs")
_FORGET = resources.query("delete_anonymous_persons")
_ADD_GROUPS = resources.query("insert_missing_groups")

# What is sent at a time: PostgreSQL takes a quarter of a GB of JSON at most.
_ROWS = 5_000
_PAIRS = 5_000

Progress = Callable[[int, int], None]
"""Told how many facts and records were made anew, and of how many; first of all, of none."""


async def preview_import(
    pool: Pool, partner_id: int, home_page: str, rows: Sequence[Row]
) -> ImportPlan:
    """What an import of these rows would come to."""
    with translate_errors():
        async with (
            pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            known = await _known(connection, partner_id, home_page, rows)
    return await _plan(rows, known)


async def import_rows(
    partner_lock: PartnerLock,
    partner_id: int,
    home_page: str,
    rows: Sequence[Row],
    progress: Progress = lambda done, total: None,
) -> ImportPlan:
    """Imports these rows, unless one is refused. Raises Unavailable if others are at work."""

    async def attempt() -> ImportPlan:
        async with partner_lock.transaction(partner_id) as connection:
            made = await _plan(rows, await _known(connection, partner_id, home_page, rows))
            if not made.refused:
                if any(each.kind != "unchanged" for each in made.outcomes):
                    progress(0, 0)
                await _write(connection, partner_id, made, progress)
            return made

    with translate_errors():
        return await retry_transaction(attempt)


async def _plan(rows: Sequence[Row], known: StoredPeople) -> ImportPlan:
    # Long imports must not keep others waiting who have only a moment's work.
    return await asyncio.to_thread(plan.make_plan, rows, known)


async def _known(
    connection: Connection, partner_id: int, home_page: str, rows: Sequence[Row]
) -> StoredPeople:
    names, keys = await asyncio.to_thread(_wanted, rows, home_page)
    known = StoredPeople(home_page)
    for kind, column in NAME_COLUMNS.items():
        for row in await connection.fetch(_THINGS[kind], partner_id, list(names[kind])):
            thing = dict(row)
            if kind == "user":
                known.person_ids[row["user"]] = thing.pop("person_id")
            known.things[kind][row[column]] = thing
    users = {person_id: user for user, person_id in known.person_ids.items()}
    for person_id, *of, to_day in await connection.fetch(_MEMBERSHIPS, partner_id, list(users)):
        known.memberships[users[person_id], *of] = to_day
    for key, *holder in await connection.fetch(_HOLDERS, partner_id, keys):
        known.holders[key] = IdentifierOwner(*holder)
    return known


def _wanted(rows: Sequence[Row], home_page: str) -> tuple[dict[str, set[str]], list[int]]:
    """The names that rows have, and the identifiers that they claim."""
    good = [row for row in rows if row.is_valid]
    return referenced_names(good), [
        claim.agent_key for claim in identifier_assignments(good, home_page)
    ]


# Writing


async def _write(
    connection: Connection, partner_id: int, made: ImportPlan, progress: Progress
) -> None:
    for sql, rows in (
        (_ADD_USERS, [each for each in made.things["user"] if "person_id" not in each]),
        (_SET_USERS, [each for each in made.things["user"] if "person_id" in each]),
        (_PUT_GROUPS, made.things["group"]),
        (_PUT_TEAMS, made.things["team"]),
        (_PUT_IDENTIFIERS, (each.values for each in made.claims)),
        (_REMOVE_MEMBERSHIPS, map(_membership, made.removed)),
        (_PUT_MEMBERSHIPS, starmap(_membership, made.lasting.items())),
    ):
        await _put(connection, sql, partner_id, rows)
    await _assign(connection, partner_id, made.things["assignment"])
    await _remake(connection, partner_id, made, progress)


async def _put(connection: Connection, sql: str, partner_id: int, rows: Iterable[Values]) -> None:
    left = iter(rows)
    while some := list(islice(left, _ROWS)):
        # Numbers that are Decimal go as texts, which PostgreSQL reads as they are meant.
        await connection.execute(sql, partner_id, orjson.dumps(some, default=str).decode())


def _membership(period: MembershipKey, to_day: Any = None) -> Values:
    user, team, organization, from_day = period
    return {
        "user": user,
        "team": team,
        "organization": organization,
        "from_day": from_day,
        "to_day": to_day,
    }


async def _assign(connection: Connection, partner_id: int, things: Sequence[Values]) -> None:
    rows = [
        {**each, "content_key": each["content"] and index_keys.activity_key(each["content"])}
        for each in things
    ]
    if any(each["organization"] is None for each in rows):
        await connection.execute(_ADD_GROUPS, partner_id, [""])
    await _put(connection, _ADD_CONTENTS, partner_id, rows)
    await _put(connection, _PUT_ASSIGNMENTS, partner_id, rows)


async def _remake(
    connection: Connection, partner_id: int, made: ImportPlan, progress: Progress
) -> None:
    """Brings facts and records up to date with who people are now, and where they belong."""
    left = sorted(made.left)
    if left:
        await connection.execute(_MOVE_EVENTS, partner_id, left, made.moved)
    members = {user for user, _, group, _ in (*made.lasting, *made.removed) if group is not None}
    if not left and not members:
        return
    rows = await connection.fetch(_TOUCHED, partner_id, left, made.moved, list(members))
    pairs = [(row["person_id"], row["content_id"]) for row in rows]
    for start in range(0, len(pairs), _PAIRS):
        progress(start, len(pairs))
        await recompute.recompute(connection, partner_id, pairs[start : start + _PAIRS])
    progress(len(pairs), len(pairs))
    await connection.execute(_FORGET, partner_id, left)
