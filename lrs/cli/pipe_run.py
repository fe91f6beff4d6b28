"""`lrs pipe run`: runs one pipe in the process of the command."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import Any

import click
import orjson

from lrs.admin import pipes as use_cases
from lrs.admin.operators import command_operator
from lrs.bootstrap.database import open_verified_database
from lrs.bootstrap.vocabulary import load_configured_vocabulary
from lrs.cli.database import load_settings_with_key, run_with_dsn
from lrs.cli.options import DATABASE, partner_argument, setting_options
from lrs.cli.output import echo
from lrs.cli.pipe_progress import Progress, describe_counts
from lrs.errors import OperatorError
from lrs.pipes.services import open_engine
from lrs.settings import Settings
from lrs.store import pipes as store
from lrs.store.pipes import Pipe

_POLL_SECONDS = 0.5


@click.command("run")
@partner_argument
@click.argument("name")
@click.option("--until-idle", is_flag=True, help="Run until there is nothing to do or it fails.")
@click.option("--json", "as_json", is_flag=True, help="Print the pipe as JSON at the end.")
@setting_options(*DATABASE)
def run_pipe(partner_name: str, name: str, until_idle: bool, as_json: bool, **options: Any) -> None:
    """Run the pipe NAME of PARTNER now, started or not; without --until-idle, for a slice of 30 s.

    While a server runs the pipe, the command waits for it.
    """
    settings = load_settings_with_key(options)
    pipe = run_with_dsn(settings, partial(_run, settings, partner_name, name, until_idle))
    if as_json:
        row = {"name": pipe.name, "state": pipe.state, "counts": pipe.counts,
               "requests": pipe.requests, "last_error": pipe.last_error}  # fmt: skip
        for line in orjson.dumps(row, option=orjson.OPT_INDENT_2).decode().splitlines():
            echo(line)
    else:
        echo(pipe.partner, pipe.name, pipe.state, describe_counts(pipe))
    if pipe.state == "failing":
        raise OperatorError(f"The pipe fails: {(pipe.last_error or 'unknown').rstrip('.')}.")


async def _run(
    settings: Settings, partner_name: str, name: str, until_idle: bool, dsn: str
) -> Pipe:
    settings = replace(settings, database_url=dsn)
    progress, vocabulary = Progress(), load_configured_vocabulary(settings)
    async with (
        open_verified_database(dsn) as database,
        open_engine(settings, vocabulary, on_step=progress.show) as engine,
    ):
        pipe = await use_cases.get_pipe(database, command_operator(), partner_name, name)
        use_cases.require_endpoint(pipe)
        if pipe.state in ("paused", "done"):
            raise OperatorError(f"Pipe {name!r} is {pipe.state}: start it first.")
        while True:
            claimed = await engine.claim((pipe.partner_id, name))
            if claimed is None:
                await asyncio.sleep(_POLL_SECONDS)
                pipe = await store.get(database, pipe.partner_id, name)
                if pipe.state in ("paused", "done"):
                    break
                continue
            pipe = await engine.run_slice(claimed)
            if pipe.state != "running" or not until_idle:
                break
        progress.end()
        return await store.get(database, pipe.partner_id, name)
