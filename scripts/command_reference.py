"""Write `docs/commands.md`: every command with its options, from the help texts.

python -m scripts.command_reference
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from lrs.cli.main import main
from lrs.cli.options import DATABASE

PATH = Path(__file__).parent.parent / "docs" / "commands.md"

_HEAD = """\
# Commands

Generated from the help of the commands by `make reference`: do not edit.

- Commands that read the database also have `--data-directory` and `--database-url`: see
  [Configuration](configuration.md). [Operations](operations.md#commands) says where to run them.
- The exit status is 1 after an error, which is one sentence on standard error, and 2 if arguments
  are invalid.
- Lists have a header and tab-separated columns. With `--json` they are one JSON array.
- No option takes a secret, since other users of the machine can read the arguments of a command.
"""


def reference() -> str:
    """The content of `docs/commands.md`."""
    # Commands cache their help option: it is that of the context in which they are first seen.
    context = click.Context(
        main, info_name="lrs", max_content_width=10_000, **main.context_settings
    )
    return "\n".join([_HEAD, *_sections(main, context)])


def _sections(group: click.Group, context: click.Context) -> Iterator[str]:
    for name in group.list_commands(context):
        command = group.resolve_command(context, [name])[1] or group
        inner = click.Context(command, parent=context, info_name=name)
        if isinstance(command, click.Group):
            yield f"## {inner.command_path}\n\n{_text(command)}\n"
            yield from _sections(command, inner)
        else:
            yield _section(command, inner, level=2 if group is main else 3)


def _section(command: click.Command, context: click.Context, level: int) -> str:
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    parts = [f"{'#' * level} {context.command_path}", f"`{usage}`", _text(command)]
    rows = [
        f"| {_code(record[0])} | {_cell(record[1])} |"
        for parameter in command.params
        if isinstance(parameter, click.Option) and parameter.name not in DATABASE
        if (record := parameter.get_help_record(context))
    ]
    if rows:
        parts.append("\n".join(["| option | meaning |", "|---|---|", *rows]))
    return "\n\n".join(parts) + "\n"


def _text(command: click.Command) -> str:
    """The help text with each paragraph on a line."""
    paragraphs = (command.help or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _code(text: str) -> str:
    return f"`{_cell(text)}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    PATH.write_text(reference(), encoding="utf-8")
