"""Output of commands: text from the database or a request cannot control the terminal."""

from __future__ import annotations

import re

import click

# Control characters, which move the cursor or start escape sequences, line separators, and
# characters that change the direction of text. A tab or a line break would forge a column or row.
UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def echo(*columns: object, err: bool = False) -> None:
    """Prints one line: the columns with tabs between them, each as `sanitize` returns it."""
    click.echo("\t".join(sanitize(str(column)) for column in columns), err=err)


def echo_progress(text: str) -> None:
    """Replaces the current line of a terminal on standard error."""
    click.echo(f"\r\x1b[K{sanitize(text)}", err=True, nl=False)


def sanitize(text: str) -> str:
    r"""The text with unsafe characters as escape sequences of Python, such as `\x1b`."""
    return UNSAFE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)
