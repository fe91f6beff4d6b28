"""The demo partner and the demo owner of a new server."""

from __future__ import annotations

from dataclasses import dataclass

from lrs.admin.operators import add_demo_owner
from lrs.admin.sessions import IssuedLink
from lrs.auth import scopes
from lrs.auth.credentials import IssuedCredential, add_credential, add_partner, default_home_page
from lrs.errors import Conflict
from lrs.store import registry
from lrs.store.postgres import Database

DEMO_PARTNER = "demo"
DEMO_SCOPES = frozenset({scopes.ALL})


@dataclass(frozen=True, slots=True)
class Demo:
    """What a new server is tried with; `link` is None if there is an operator already."""

    credential: IssuedCredential
    link: IssuedLink | None


async def add_demo(database: Database, base_url: str) -> Demo | None:
    """Add the demo partner with a credential, and the demo owner; None if a partner exists."""
    credential = await add_demo_partner(database, base_url)
    return Demo(credential, await add_demo_owner(database)) if credential else None


async def add_demo_partner(database: Database, base_url: str) -> IssuedCredential | None:
    """Add the demo partner with a credential; None if a partner exists."""
    if await registry.list_partners(database):
        return None
    try:
        partner = await add_partner(
            database, DEMO_PARTNER, "Demo partner", default_home_page(base_url, DEMO_PARTNER)
        )
    except Conflict:
        return None
    return await add_credential(
        database,
        partner,
        kind="client",
        label="Demo credential",
        granted=DEMO_SCOPES,
        expires_at=None,
    )
