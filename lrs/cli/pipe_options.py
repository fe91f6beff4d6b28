"""The options that configure a pipe, and what they mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from lrs.admin.pipes import VERSIONS
from lrs.cli.options import Command, read_secret, secret_file_option
from lrs.errors import InvalidParameter
from lrs.pipes.options import Basic, Bearer, Credentials, OAuth2, Signed


def config_options(command: Command) -> Command:
    """The options that `add` and `set` share."""
    decorators: tuple[Callable[[Command], Command], ...] = (
        click.option("--key", help="Key for Basic authentication, or client id with --token-url."),
        secret_file_option,
        click.option("--bearer", is_flag=True, help="The secret is a Bearer token."),
        click.option("--token-url", help="Token endpoint for OAuth2 client credentials."),
        click.option("--scope", help="Scope of the token."),
        click.option(
            "--xapi-version", "version", type=click.Choice(VERSIONS), help="Version.  [auto]"
        ),
        click.option(
            "--filter", "filters", multiple=True, metavar="KEY=VALUE",
            help="Which statements, repeatable; see docs/pipes.md.",
        ),
        click.option("--since", help="Pull what was stored after this time."),
        click.option("--until", help="Pull what was stored up to this time, then end."),
        click.option("--every", type=float, help="Seconds between polls.  [60]"),
        click.option("--overlap", type=float, help="Seconds that a poll reads again.  [300]"),
        click.option("--page", type=int, help="Statements of one page.  [500]"),
        click.option("--rate", type=float, help="Maximum of statements per second."),
        click.option(
            "--authority", type=click.Choice(("pipe", "source")),
            help="Whose authority pulled statements get.  [pipe]",
        ),
        click.option("--from", "start", help="Forward from: now, beginning or a time.  [now]"),
        click.option("--batch", type=int, help="Statements of one request.  [50]"),
        click.option("--strip", is_flag=True, default=None, help="Remove what needs xAPI 2.0."),
        click.option(
            "--as", "target", type=click.Choice(("statements", "track", "webhook")),
            help="Form in which statements are forwarded.  [statements]",
        ),
        click.option(
            "--webhook", "target", flag_value="webhook",
            help="The same as --as webhook: signed JSON arrays.",
        ),
    )  # fmt: skip
    for decorate in reversed(decorators):
        command = decorate(command)
    return command


_OPTION_NAMES = (
    "since", "until", "every", "overlap", "page", "rate", "authority", "start", "batch", "strip",
    "target",
)  # fmt: skip


def direction_options(values: dict[str, Any]) -> dict[str, Any]:
    chosen = {name: values.pop(name) for name in _OPTION_NAMES}
    return {name: value for name, value in chosen.items() if value is not None}


def statement_filter(pairs: tuple[str, ...], direction: str) -> dict[str, Any]:
    chosen: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise click.BadParameter(f"expected KEY=VALUE, got {pair!r}", param_hint="--filter")
        key = key.strip().replace("-", "_")
        if direction == "pull" or key.startswith("related_"):
            chosen[key] = value or None
        else:
            chosen[key] = [*chosen.get(key, []), *filter(None, [value])]
    return chosen


def credentials_of(values: dict[str, Any]) -> Credentials | None:
    """The credentials of the options; None without any."""
    key, token_url, scope = (values.pop(name) for name in ("key", "token_url", "scope"))
    bearer, secret_file = values.pop("bearer"), values.pop("secret_file")
    if not (key or token_url or bearer or secret_file):
        secret = read_secret(None) if values.get("target") == "webhook" else None
        return Signed(secret) if secret else None
    secret = read_secret(secret_file)
    if secret is None:
        secret = click.prompt("Secret", hide_input=True)
    if bearer:
        return Bearer(secret)
    if token_url:
        if not key:
            raise InvalidParameter("--token-url requires --key, the client id.")
        return OAuth2(token_url, key, secret, scope or "")
    if key:
        return Basic(key, secret)
    return Signed(secret)
