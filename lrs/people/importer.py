"""Importing people: one transaction that reads what is stored and writes the changes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from itertools import starmap

from lrs import resources
from lrs.imports.rows import Row, Values
from lrs.imports.writer import execute_rows
from lrs.people.checks import NAME_COLUMNS, MembershipKey, StoredPeople, referenced_names
from lrs.people.identifier_assignments import IdentifierOwner, assigned_identifiers
from lrs.people.plan import ImportPlan, make_plan
from lrs.projection import event_writer, mail_case
from lrs.projection.partner_lock import PartnerLock
from lrs.projection.persons import folds_mail_case
from lrs.projection.recompute import Progress, no_progress, recompute_all
from lrs.store.postgres import Connection, retry_transaction, translate_errors
from lrs.threads import FairThread
from lrs.xapi import index_keys

_ENTITIES = {
    "user": resources.query("list_users"),
    "group": resources.query("list_groups"),
    "team": resources.query("list_teams"),
    "assignment": resources.query("list_assignments"),
}
_MEMBERSHIPS = resources.query("list_memberships")
_OWNERS = resources.query("list_identifier_owners")
_INSERT_USERS = resources.query("insert_users")
_UPDATE_USERS = resources.query("update_users")
_UPSERT_GROUPS = resources.query("upsert_groups")
_UPSERT_TEAMS = resources.query("upsert_teams")
_UPSERT_IDENTIFIERS = resources.query("upsert_identifiers")
_UPSERT_MEMBERSHIPS = resources.query("upsert_memberships")
_DELETE_MEMBERSHIPS = resources.query("delete_memberships")
_INSERT_CONTENTS = resources.query("insert_assigned_content_items")
_UPSERT_ASSIGNMENTS = resources.query("upsert_assignments")
_REASSIGN_EVENTS = resources.query("reassign_events")
_AFFECTED_PAIRS = resources.query("list_affected_pairs")
_COUNT_EVENTS = resources.query("count_events_of_identifiers")
_DELETE_PERSONS = resources.query("delete_anonymous_persons")


async def preview_import(
    partner_lock: PartnerLock,
    partner_id: int,
    home_page: str,
    rows: Sequence[Row],
    *,
    merge: bool = False,
) -> ImportPlan:
    """The plan of an import, which is not carried out. Raises Unavailable and Overloaded.

    `home_page` is the partner's base URL for its own ids; `merge` is that of `make_plan`.
    """
    with translate_errors():
        async with partner_lock.snapshot(partner_id) as connection:
            return await _plan(
                connection, partner_id, home_page, rows, partner_lock.thread, merge=merge
            )


async def import_rows(
    partner_lock: PartnerLock,
    partner_id: int,
    home_page: str,
    rows: Sequence[Row],
    progress: Progress = no_progress,
    *,
    merge: bool = False,
) -> ImportPlan:
    """Import these rows, or none if one is refused; `merge` is that of `make_plan`.

    The first call of `progress` is (0, 0), when the plan of a changing import is written.

    Raises Unavailable if the partner's lock is not free within its timeout, and Overloaded.
    """
    thread = partner_lock.thread

    async def attempt() -> ImportPlan:
        async with partner_lock.transaction(partner_id) as connection:
            await mail_case.apply_setting(connection, partner_id)
            plan = await _plan(connection, partner_id, home_page, rows, thread, merge=merge)
            if not plan.refused:
                if any(outcome.kind != "unchanged" for outcome in plan.outcomes):
                    progress(0, 0)
                await _write(connection, partner_id, plan, progress)
            return plan

    with translate_errors():
        return await retry_transaction(attempt)


async def _plan(
    connection: Connection,
    partner_id: int,
    home_page: str,
    rows: Sequence[Row],
    thread: FairThread,
    *,
    merge: bool,
) -> ImportPlan:
    stored = await _fetch_stored(connection, partner_id, home_page, rows, thread)
    # In a thread: a long import must not block the event loop.
    plan = await thread.run(partner_id, make_plan, rows, stored, merge=merge)
    if plan.moving_keys:
        counts = await connection.fetch(
            _COUNT_EVENTS, partner_id, sorted(plan.moving_from), list(plan.moving_keys)
        )
        plan.count_moved_events({row["agent_key"]: row["events"] for row in counts})
    return plan


async def _fetch_stored(
    connection: Connection,
    partner_id: int,
    home_page: str,
    rows: Sequence[Row],
    thread: FairThread,
) -> StoredPeople:
    stored = StoredPeople(home_page, await folds_mail_case(connection, partner_id))
    names, agent_keys = await thread.run(partner_id, _references, rows, stored)
    for kind, column in NAME_COLUMNS.items():
        for row in await connection.fetch(_ENTITIES[kind], partner_id, list(names[kind])):
            entity = dict(row)
            if kind == "user":
                stored.person_ids[row["user"]] = entity.pop("person_id")
            stored.entities[kind][row[column]] = entity
    users = {person_id: user for user, person_id in stored.person_ids.items()}
    for person_id, team, organization, from_day, to_day in await connection.fetch(
        _MEMBERSHIPS, partner_id, list(users)
    ):
        stored.memberships[users[person_id], team, organization, from_day] = to_day
    for agent_key, *owner in await connection.fetch(_OWNERS, partner_id, agent_keys):
        stored.owners[agent_key] = IdentifierOwner(*owner)
    return stored


def _references(rows: Sequence[Row], stored: StoredPeople) -> tuple[dict[str, set[str]], list[int]]:
    """The names in the valid rows by kind, and the agent keys of their identifiers."""
    valid = [row for row in rows if row.is_valid]
    identifiers = assigned_identifiers(valid, stored.home_page, folds_case=stored.folds_case)
    agent_keys = [identifier.agent_key for identifier in identifiers]
    return referenced_names(valid), agent_keys


async def _write(
    connection: Connection, partner_id: int, plan: ImportPlan, progress: Progress
) -> None:
    users = plan.entities["user"]
    for sql, rows in (
        (_INSERT_USERS, [user for user in users if "person_id" not in user]),
        (_UPDATE_USERS, [user for user in users if "person_id" in user]),
        (_UPSERT_GROUPS, plan.entities["group"]),
        (_UPSERT_TEAMS, plan.entities["team"]),
        (_UPSERT_IDENTIFIERS, (identifier.values for identifier in plan.identifiers)),
        (_DELETE_MEMBERSHIPS, map(_membership, plan.removed_memberships)),
        (_UPSERT_MEMBERSHIPS, starmap(_membership, plan.memberships.items())),
    ):
        await execute_rows(connection, sql, partner_id, rows)
    await _write_assignments(connection, partner_id, plan.entities["assignment"])
    await _recompute(connection, partner_id, plan, progress)


def _membership(key: MembershipKey, to_day: date | None = None) -> Values:
    user, team, organization, from_day = key
    return {
        "user": user,
        "team": team,
        "organization": organization,
        "from_day": from_day,
        "to_day": to_day,
    }


async def _write_assignments(
    connection: Connection, partner_id: int, assignments: Sequence[Values]
) -> None:
    rows = [
        {**row, "content_key": row["content"] and index_keys.activity_key(row["content"])}
        for row in assignments
    ]
    if any(row["organization"] is None for row in rows):
        await event_writer.insert_groups(connection, partner_id, [""])
    await execute_rows(connection, _INSERT_CONTENTS, partner_id, rows)
    await execute_rows(connection, _UPSERT_ASSIGNMENTS, partner_id, rows)


async def _recompute(
    connection: Connection, partner_id: int, plan: ImportPlan, progress: Progress
) -> None:
    """Recompute facts and records of reassigned events and of changed group memberships."""
    previous_owners = sorted(plan.previous_owners)
    if previous_owners:
        await connection.execute(
            _REASSIGN_EVENTS, partner_id, previous_owners, plan.reassigned_keys
        )
    members = {
        user
        for user, _, organization, _ in (*plan.memberships, *plan.removed_memberships)
        if organization is not None
    }
    if not previous_owners and not members:
        return
    rows = await connection.fetch(
        _AFFECTED_PAIRS, partner_id, previous_owners, plan.reassigned_keys, list(members)
    )
    pairs = [(row["person_id"], row["content_id"]) for row in rows]
    await recompute_all(connection, partner_id, pairs, progress)
    await connection.execute(_DELETE_PERSONS, partner_id, previous_owners)
