"""Looks up statements by id."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial

import msgspec

from lrs import resources
from lrs.store.batching import BatchLoader
from lrs.store.postgres import Database, translate_errors
from lrs.store.statements.partner_keys import key_salt
from lrs.xapi.index_keys import VOIDED_KEY

_BY_ID = resources.query("get_statements")


class StoredStatement(msgspec.Struct, frozen=True, gc=False):
    """A stored statement: `payload` is its JSON text in UTF-8, `authority_key` is unsalted."""

    payload: bytes
    stored: datetime
    organization: str | None
    authority_key: int
    voided: bool


class StatementLoader:
    """Loads statements by id; concurrent loads of one partner share a query."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._loaders: dict[int, BatchLoader[str, StoredStatement | None]] = {}

    async def load(self, partner_id: int, statement_id: str) -> StoredStatement | None:
        """The statement, voided or not, or None. Raises Unavailable."""
        loader = self._loaders.get(partner_id)
        if loader is None:
            loader = self._loaders[partner_id] = BatchLoader(partial(self._fetch, partner_id))
        return await loader.load(statement_id.lower())

    async def _fetch(
        self, partner_id: int, statement_ids: Sequence[str]
    ) -> list[StoredStatement | None]:
        salt = key_salt(partner_id)
        with translate_errors():
            records = await self._database.lists.fetch(
                _BY_ID, partner_id, statement_ids, VOIDED_KEY ^ salt, salt
            )
        statements = {statement_id: StoredStatement(*rest) for statement_id, *rest in records}
        return [statements.get(statement_id) for statement_id in statement_ids]
