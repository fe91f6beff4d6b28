"""The services of a process that runs pipes, or of a command."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from lrs.auth.secret_box import SecretBox
from lrs.ingest.group_commit import GroupCommit
from lrs.ingest.pipeline import IngestPipeline
from lrs.ledger.worker import open_ledger
from lrs.limits.services import open_limits
from lrs.pipes.client.address_rules import AddressRules
from lrs.pipes.engine import Engine, EngineTimes
from lrs.pipes.forward.direction import ForwardDirection
from lrs.pipes.model import Direction
from lrs.pipes.pull.direction import PullDirection
from lrs.pipes.pull.items import ItemStore
from lrs.projection.vocabulary import Vocabulary
from lrs.settings import Settings
from lrs.store import migrations
from lrs.store.pipes import Pipe
from lrs.store.postgres import Database, open_database
from lrs.store.statements.watermark import WatermarkReader

_WRITERS = 4
_READERS = 4


@asynccontextmanager
async def open_item_store(settings: Settings) -> AsyncIterator[tuple[Database, ItemStore]]:
    """A pipeline with its own pools, for what pulls and imports read.

    Raises Unavailable if the database is not reachable or has another schema version.
    """
    async with (
        open_database(
            settings.database_url,
            writers=_WRITERS,
            readers=_READERS,
            timeout=settings.database_timeout_seconds,
        ) as database,
        open_limits(settings, database) as limits,
        open_ledger(settings, database, WatermarkReader(database)) as ledger,
    ):
        await migrations.verify(database.readers)
        pipeline = IngestPipeline(database, GroupCommit(database), limits.quotas, ledger=ledger)
        yield (
            database,
            ItemStore(
                database, pipeline, ledger, limits.default, settings.max_xapi_statement_bytes
            ),
        )


@asynccontextmanager
async def open_engine(
    settings: Settings,
    vocabulary: Vocabulary,
    *,
    times: EngineTimes | None = None,
    on_step: Callable[[Pipe], None] = lambda _: None,
) -> AsyncIterator[Engine]:
    """The engine with its own pools and pipeline. `vocabulary` decides what is a track event.

    Raises Unavailable if the database is not reachable or has another schema version.
    """
    async with open_item_store(settings) as (database, item_store):
        directions: dict[str, Direction] = {
            "forward": ForwardDirection(database, vocabulary),
            "pull": PullDirection(item_store),
        }
        secret_box = SecretBox(settings.secret_key, settings.accepted_secret_key)
        rules = AddressRules(settings.pipe_networks)
        yield Engine(database, secret_box, rules, directions, times=times, on_step=on_step)
