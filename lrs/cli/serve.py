"""`lrs serve`: the server."""

from __future__ import annotations

from typing import Any

import click

from lrs.cli.options import DATABASE, load_settings, setting_options


@click.command()
@setting_options("host", "port", "workers", *DATABASE, "public_url", "log_level")
def serve(**options: Any) -> None:
    """Start the server, with the embedded PostgreSQL unless LRS_DATABASE_URL is set."""
    from lrs.server.serve import run  # not for `lrs serve --help`

    run(load_settings(options))
