"""Rows of the projection in the terms of the oracle, and memberships for histories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lrs.api.services import Services
from lrs.projection import persons
from lrs.xapi import index_keys
from tests.support import projection_oracle as oracle
from tests.support.learning_history import mailbox
from tests.support.partners import Partner
from tests.support.projection import Json, rows


async def add_memberships(
    services: Services, partner: Partner, memberships: list[oracle.Membership]
) -> None:
    """Inserts memberships of groups, like an import."""
    async with services.database.writers.acquire() as connection:
        agents = {
            index_keys.agent_key(agent): index_keys.agent_identity(agent)
            for agent in map(mailbox, {item.learner for item in memberships})
        }
        await persons.ensure_persons(connection, partner.partner_id, agents)
        await connection.executemany(
            "insert into learner_group (partner_id, name) values ($1, $2) on conflict do nothing",
            [(partner.partner_id, item.organization) for item in memberships],
        )
        await connection.executemany(
            """
            insert into group_membership (partner_id, person_id, group_id, from_day, to_day)
            select $1, person_id, group_id, $4, $5 from identifier, learner_group
            where identifier.partner_id = $1 and identity = $2
                and learner_group.partner_id = $1 and learner_group.name = $3
            """,
            [
                (
                    partner.partner_id,
                    index_keys.agent_identity(mailbox(item.learner)),
                    item.organization,
                    item.from_day,
                    item.to_day,
                )
                for item in memberships
            ],
        )


async def names_by_id(connection: Any, partner: Partner) -> tuple[dict[int, str], dict[int, str]]:
    """The names of people and content items in a history, by id."""
    identities = {
        row["identity"]: row["person_id"] for row in await rows(connection, partner, "identifier")
    }
    called = {}
    for identity, person in identities.items():
        if identity.startswith("mbox mailto:"):
            called[person] = identity.removeprefix("mbox mailto:").partition("@")[0]
        elif identity.startswith("account "):
            called[person] = identity.rpartition(" ")[2]
    contents = await rows(connection, partner, "content_item")
    return called, {row["content_id"]: row["activity_id"] for row in contents}


async def facts(
    connection: Any,
    partner: Partner,
    table: str,
    *keys: str,
    learners: Mapping[str, str] | None = None,
) -> dict[tuple[Any, ...], Json]:
    """Rows by learner, content and further columns; `learners` are the names of merged ones."""
    names, contents = await names_by_id(connection, partner)
    actual = {}
    for row in await rows(connection, partner, table):
        key = (
            (learners or {}).get(name := names[row.pop("person_id")], name),
            contents[row.pop("content_id")],
            *(row.pop(item) for item in keys),
        )
        for column in ("partner_id", "date_id", "updated_at"):
            row.pop(column, None)
        actual[key] = row
    return actual


async def with_positions(
    connection: Any, partner: Partner, expected: list[oracle.OracleEvent]
) -> list[oracle.OracleEvent]:
    """The events with the sequences of their statements."""
    stored = await connection.fetch(
        "select statement_id::text, sequence from statement where partner_id = $1",
        partner.partner_id,
    )
    sequences = {row["statement_id"]: row["sequence"] for row in stored}
    return [replace(item, stored=sequences[item.statement_id]) for item in expected]
