"""The option for the settings of a partner, and how they are printed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click
import orjson

from lrs.cli.options import Command
from lrs.store import partner_settings
from lrs.store.partner_settings import PartnerSettings


def option(command: Command) -> Command:
    """An option `--setting KEY=VALUE`, repeatable, whose help lists the settings."""
    lines = (f"{name}: {partner_settings.description(name)}" for name in partner_settings.names())
    return click.option(
        "--setting",
        "changed_settings",
        multiple=True,
        metavar="KEY=VALUE",
        help=f"Setting, repeatable; the value default removes it. {' '.join(lines)}",
    )(command)


def parse(pairs: tuple[str, ...]) -> dict[str, str]:
    """The changes by name. Raises BadParameter."""
    changes = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise click.BadParameter(f"expected KEY=VALUE, got {pair!r}", param_hint="--setting")
        changes[name.strip().replace("-", "_")] = value.strip()
    return changes


def format_differing(values: Mapping[str, Any]) -> str:
    """The settings that differ from the defaults, in the column of a list."""
    return " ".join(f"{name}={format_value(value)}" for name, value in values.items())


def describe(settings: PartnerSettings) -> Iterator[tuple[str, ...]]:
    """Columns with each setting, its value and its origin."""
    differing = partner_settings.differing(settings)
    for name in partner_settings.names():
        origin = "partner" if name in differing else "default"
        yield name.replace("_", " "), format_value(getattr(settings, name)), f"({origin})"


def format_value(value: object) -> str:
    """The value as `--setting` takes it: text as it is, other values as JSON."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()
