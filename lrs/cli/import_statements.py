"""`lrs import`: statements of a file, such as an export of another LRS."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click

from lrs.admin.operators import command_operator
from lrs.admin.partners import find_partner
from lrs.auth.operators import record
from lrs.bootstrap.secret_key import open_secret_box
from lrs.cli.database import load_settings_with_key, run_with_dsn
from lrs.cli.options import DATABASE, partner_argument, setting_options
from lrs.cli.output import echo
from lrs.pipes.pull.import_file import ImportFile, Progress, import_file
from lrs.pipes.services import open_item_store
from lrs.settings import Settings
from lrs.store.pipes import Pipe


@click.command("import")
@partner_argument
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--authority",
    type=click.Choice(("pipe", "source")),
    default="pipe",
    show_default=True,
    help="Whose authority statements get: that of the import, or the one in the file.",
)
@setting_options(*DATABASE)
def import_statements(partner_name: str, file: Path, authority: str, **options: Any) -> None:
    """Import the statements in FILE into PARTNER: one JSON object a line, also compressed (gzip).

    Lines are statements, or rows of an export of lrsql or Learning Locker. Run the command again to
    continue an import that was interrupted. Refused statements are in `lrs refusals list`.
    """
    settings = load_settings_with_key(options)
    source = ImportFile.of(file)
    work = partial(_import, settings, partner_name, source, authority == "source")
    pipe = run_with_dsn(settings, work)
    for outcome, count in sorted(pipe.counts.items()):
        echo(outcome, count)
    echo("import", pipe.name)


async def _import(
    settings: Settings, partner_name: str, file: ImportFile, keeps_authority: bool, dsn: str
) -> Pipe:
    settings = replace(settings, database_url=dsn)
    async with open_item_store(settings) as (database, item_store):
        operator = command_operator()
        partner = await find_partner(database, operator, partner_name)
        with click.progressbar(
            length=file.size, label=file.path.name, file=sys.stderr, hidden=not sys.stderr.isatty()
        ) as bar:

            def report(progress: Progress) -> None:
                bar.update(progress.read_bytes - bar.pos)

            pipe = await import_file(
                database,
                item_store,
                partner.partner_id,
                file,
                open_secret_box(settings).encrypt,
                keeps_authority=keeps_authority,
                report=report,
            )
        await record(
            database,
            operator,
            "pipe.import",
            f"pipe/{partner_name}/{pipe.name}",
            partner_id=partner.partner_id,
            after={"file": file.path.name, "counts": pipe.counts},
        )
        return pipe
