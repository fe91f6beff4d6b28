"""Options that several commands share, and settings as options."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TextIO
from urllib.parse import parse_qsl, urlsplit

import click

from lrs import environment, settings
from lrs.auth.overlap import MAX_HOURS
from lrs.errors import InvalidParameter
from lrs.settings import Settings, SettingsError

Command = Callable[..., Any]

DATABASE = ("data_directory", "database_url")

partner_argument = click.argument("partner_name", metavar="PARTNER")
optional_partner_argument = click.argument("partner_name", metavar="[PARTNER]", required=False)

overlap_option = click.option(
    "--overlap-hours",
    type=click.FloatRange(0, MAX_HOURS),
    default=24.0,
    show_default=True,
    help="Hours that the old secret stays valid. 0: it ends now.",
)


secret_file_option = click.option(
    "--secret-file",
    type=click.File(encoding="utf-8"),
    help="File with the secret; - for standard input. Or set the variable SECRET.",
)


def read_secret(file: TextIO | None) -> str | None:
    """The secret in the file, else in the variable SECRET, else None.

    No option takes the secret itself: other users of the machine can read the arguments of a
    command. Raises InvalidParameter.
    """
    if file is None:
        return os.environ.get("SECRET") or None
    if file.isatty():
        return str(click.prompt("Secret", hide_input=True))
    try:
        return file.read().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise InvalidParameter(f"--secret-file: {file.name} is not UTF-8: {error}.") from None


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
    """Settings from the environment, overridden by the options that were set.

    Raises SettingsError.
    """
    if _has_password(options.get("database_url") or ""):
        raise SettingsError(
            "--database-url: other users of the machine can read a password on the command line; "
            "set LRS_DATABASE_URL or LRS_DATABASE_URL_FILE instead."
        )
    return environment.from_environment(
        os.environ, {name: value for name, value in options.items() if value is not None}
    )


def _has_password(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:  # reported with the other invalid values
        return False
    names = {name.lower() for name, _ in parse_qsl(parts.query)}
    return bool(parts.password) or not names.isdisjoint({"password", "sslpassword"})


def from_now(span: timedelta) -> datetime:
    return datetime.now(UTC) + span


def format_day(moment: datetime) -> str:
    return moment.date().isoformat()
