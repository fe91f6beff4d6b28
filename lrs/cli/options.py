"""Options that several commands share, and settings as options."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from lrs import environment, settings
from lrs.settings import Settings

Command = Callable[..., Any]

DATABASE = ("data_directory", "database_url")

partner_argument = click.argument("partner_name", metavar="PARTNER")
optional_partner_argument = click.argument("partner_name", metavar="[PARTNER]", required=False)

overlap_option = click.option(
    "--overlap-hours",
    type=click.FloatRange(0, 8_760),
    default=24.0,
    show_default=True,
    help="Hours that the old secret stays valid. 0: it ends now.",
)


def setting_options(*names: str) -> Callable[[Command], Command]:
    """An option for each named setting; its help is the description of the setting."""

    def decorate(command: Command) -> Command:
        for name in reversed(names):
            description = settings.settings_schema()[name]["description"]
            variable = f"{settings.PREFIX}{name.upper()}"
            option = f"--{name.replace('_', '-')}"
            command = click.option(option, name, help=f"{description} [{variable}]")(command)
        return command

    return decorate


def load_settings(options: dict[str, Any]) -> Settings:
    """Settings from the environment, overridden by the options that were set."""
    return environment.from_environment(
        os.environ, {name: value for name, value in options.items() if value is not None}
    )


def from_now(span: timedelta) -> datetime:
    return datetime.now(UTC) + span


def end_of_overlap(hours: float) -> datetime | None:
    """When the old secret ends; None: now, whatever the clock of another server shows."""
    return from_now(timedelta(hours=hours)) if hours else None


def format_day(moment: datetime) -> str:
    return moment.date().isoformat()
