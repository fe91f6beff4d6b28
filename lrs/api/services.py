"""What a handler works with; assembled once per worker by `lrs.app`."""

from __future__ import annotations

from dataclasses import dataclass

from lrs.auth.authenticate import Authenticator
from lrs.auth.callbacks import Callbacks
from lrs.auth.limits import RateLimit
from lrs.auth.tokens import Tokens
from lrs.auth.vault import Vault
from lrs.ingest import Ingest
from lrs.settings import Settings
from lrs.store.changes import Changes
from lrs.store.database import Database
from lrs.store.exports import Exports
from lrs.store.horizon import Horizon
from lrs.store.pages import Pages
from lrs.store.statements import Lookups


@dataclass(frozen=True, slots=True)
class Services:
    settings: Settings
    database: Database
    tokens: Tokens
    authenticator: Authenticator
    rate_limit: RateLimit
    horizon: Horizon
    lookups: Lookups
    pages: Pages
    ingest: Ingest
    vault: Vault
    callbacks: Callbacks
    exports: Exports
    changes: Changes
