"""The tree of commands, of which some are imported only when they are called."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from lrs.cli.main import main


def resolve(words: Sequence[str]) -> tuple[click.Command, list[str]]:
    """The command that a line such as `partner add NAME` calls, and the words after its name."""
    command: click.Command = main
    rest = list(words)
    while isinstance(command, click.Group) and rest:
        _, subcommand, rest = command.resolve_command(click.Context(command), rest)
        assert subcommand is not None, words
        command = subcommand
    return command, rest


def command_group(*path: str) -> click.Group:
    """The group of commands at a path."""
    command, _ = resolve(path)
    assert isinstance(command, click.Group), path
    return command


def command_paths(*path: str) -> Iterator[tuple[str, ...]]:
    """The paths of all commands and groups below a path, with itself."""
    yield path
    command, _ = resolve(path)
    for name in sorted(command.commands) if isinstance(command, click.Group) else ():
        yield from command_paths(*path, name)


def option_names(command: click.Command) -> set[str]:
    return {name for parameter in command.params for name in parameter.opts}
