"""Groups of commands that are imported when they are called."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click


class LazyGroup(click.Group):
    """A group that imports a subcommand when it is called, and not for its own help.

    `lazy` maps the name of a subcommand to its location, such as `module.function` for a module of
    this package, and its line in the help of the group.
    """

    def __init__(self, *args: Any, lazy: Mapping[str, tuple[str, str]], **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self._locations = {name: location for name, (location, _) in lazy.items()}
        for name, (_, text) in lazy.items():
            self.add_command(click.Command(name, help=text))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        if name in self._locations:
            module, _, function = self._locations[name].partition(".")
            command = getattr(import_module(f"lrs.cli.{module}"), function)
        return name, command, rest
