"""Settings as flags of the `lrs` command."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import click

from lrs import environment, settings
from lrs.settings import Settings

Command = Callable[..., Any]

DATABASE = ("data_directory", "database_url")


overlap = click.option(
    "--overlap-hours",
    type=click.FloatRange(0, 8_760),
    default=24.0,
    show_default=True,
    help="How long the old secret stays good.",
)


def flags(*names: str) -> Callable[[Command], Command]:
    """A flag for each setting named; the help is the setting's own description."""

    def decorate(command: Command) -> Command:
        for name in reversed(names):
            description = settings.settings_schema()[name]["description"]
            variable = f"{settings.PREFIX}{name.upper()}"
            flag = f"--{name.replace('_', '-')}"
            command = click.option(flag, name, help=f"{description} [{variable}]")(command)
        return command

    return decorate


def configured(given: dict[str, Any]) -> Settings:
    """The settings from the environment, with those given as flags on top."""
    return environment.from_environment(
        os.environ, {name: value for name, value in given.items() if value is not None}
    )
