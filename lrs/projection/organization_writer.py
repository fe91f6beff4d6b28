"""Organizations from memberships: reading memberships, and updating the events of learners."""

from __future__ import annotations

from collections.abc import Iterable

from lrs import resources
from lrs.projection.organizations import Memberships, by_person, infer_organization
from lrs.projection.partner_rules import read_settings
from lrs.store.partner_settings import PartnerSettings
from lrs.store.postgres import Connection

_MEMBERSHIPS = resources.query("list_organizations_of_persons")
_DAYS = resources.query("list_days_without_organization")
_UPDATE = resources.query("update_inferred_organizations")


async def read_memberships(
    connection: Connection, partner_id: int, persons: Iterable[int], settings: PartnerSettings
) -> Memberships:
    """The memberships by which events of these persons get an organization."""
    if not settings.organization_from_memberships:
        return {}
    rows = await connection.fetch(_MEMBERSHIPS, partner_id, list(persons))
    return by_person((row[0], row[1], row[2], row[3]) for row in rows)


async def update_organizations(
    connection: Connection, partner_id: int, persons: Iterable[int]
) -> list[tuple[int, int]]:
    """Infer the organizations of the stored events of these persons again.

    Returns the pairs of learner and content item whose events change.
    """
    persons = list(persons)
    settings = await read_settings(connection, partner_id)
    memberships = await read_memberships(connection, partner_id, persons, settings)
    changes = []
    for person_id, day, organization in await connection.fetch(_DAYS, partner_id, persons):
        inferred = infer_organization(memberships.get(person_id, ()), day)
        if inferred != organization:
            changes.append((person_id, day, inferred))
    if not changes:
        return []
    columns = map(list, zip(*changes, strict=True))
    rows = await connection.fetch(_UPDATE, partner_id, *columns)
    return [(row["person_id"], row["content_id"]) for row in rows]
