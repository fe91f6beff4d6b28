"""`lrs reports rebuild` and `status`: making reports anew, and how far they are."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import Any, TypeVar

import click

from lrs import bootstrap
from lrs.cli.options import DATABASE, configured, flags
from lrs.errors import NotFound
from lrs.projection import lag
from lrs.projection.rebuild import rebuild_partner
from lrs.projection.vocabulary import Vocabulary
from lrs.server import garbage_collection
from lrs.settings import Settings
from lrs.store import migrations
from lrs.store.postgres import Database, open_projector_database

Result = TypeVar("Result")


@click.command()
@click.argument("partner_name", metavar="[PARTNER]", required=False)
@flags(*DATABASE)
def rebuild(partner_name: str | None, **given: Any) -> None:
    """Make the reports of PARTNER, or of all partners, anew from their statements.

    The old ones are read until the new ones are there; ended early, they stay.
    """
    configuration = configured(given)
    vocabulary = bootstrap.vocabulary(configuration)
    garbage_collection.spare()
    _with_database(configuration, lambda database: _rebuild(database, partner_name, vocabulary))


async def _rebuild(database: Database, partner_name: str | None, vocabulary: Vocabulary) -> None:
    for each in await _partners(database, partner_name):
        with _Bars(each.partner) as bars:
            await rebuild_partner(database, each.partner_id, vocabulary, bars.report)


@click.command()
@click.argument("partner_name", metavar="[PARTNER]", required=False)
@flags(*DATABASE)
def status(partner_name: str | None, **given: Any) -> None:
    """Say how far the reports of PARTNER, or of all partners, are."""
    for each in _with_database(configured(given), lambda known: _partners(known, partner_name)):
        through = each.watermark.isoformat() if each.watermark else "never"
        state = f"{each.lag_seconds:.1f} seconds behind" if each.oldest_pending_at else "up to date"
        click.echo(f"{each.partner}\t{through}\t{state}")


async def _partners(database: Database, name: str | None) -> list[lag.Backlog]:
    found = await lag.read_backlogs(database)
    if name is None:
        return found
    if named := [each for each in found if each.partner == name]:
        return named
    raise NotFound(f"Partner {name!r} not found.")


def _with_database(
    configuration: Settings, work: Callable[[Database], Awaitable[Result]]
) -> Result:
    async def run(dsn: str) -> Result:
        async with open_projector_database(dsn) as database:
            await migrations.verify(database.readers)
            return await work(database)

    with bootstrap.database_url(configuration) as dsn:
        return asyncio.run(run(dsn))


class _Bars(ExitStack):
    """A progress bar for each thing that is counted, one after the other."""

    def __init__(self, partner: str) -> None:
        super().__init__()
        self._partner = partner
        self._counted = ""
        self._bar: Any = None

    def report(self, counted: str, done: int, total: int) -> None:
        if counted != self._counted:
            self.close()
            label = f"{self._partner}: {counted}"
            self._bar = self.enter_context(
                click.progressbar(length=total, label=label, show_pos=True)
            )
            self._counted = counted
        self._bar.update(done - self._bar.pos)
