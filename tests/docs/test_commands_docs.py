"""`docs/commands.md` lists every command with its options."""

from __future__ import annotations

import click

from scripts.command_reference import PATH, reference
from tests.support.commands import command_paths, resolve


def test_document_has_the_help_of_every_command() -> None:
    assert PATH.read_text(encoding="utf-8") == reference(), "run `make reference`"


def test_document_has_a_heading_for_every_command() -> None:
    text = PATH.read_text(encoding="utf-8")
    for path in command_paths():
        title = " ".join(("lrs", *path))
        assert not path or f"# {title}\n\n" in text, title


def test_every_option_has_help() -> None:
    """Arguments are explained in the text of their command."""
    for path in command_paths():
        command, _ = resolve(path)
        for parameter in command.params:
            assert not isinstance(parameter, click.Option) or parameter.help, (path, parameter.name)
