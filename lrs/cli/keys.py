"""`lrs keys`: the keys that sign access tokens, and the secret key that encrypts the database."""

from __future__ import annotations

import sys
from typing import Any

import click

from lrs.auth import rekey, signing_keys
from lrs.auth.rekey import RekeyResult
from lrs.auth.signing_keys import ACTIVATION_SECONDS, RELOAD_SECONDS
from lrs.bootstrap.secret_key import open_secret_box
from lrs.cli.database import load_settings_with_key, record_change, run_with_database
from lrs.cli.options import DATABASE, format_day, load_settings, setting_options
from lrs.cli.output import echo
from lrs.cli.tables import json_option, print_table
from lrs.store import signing_keys as stored_keys
from lrs.store.postgres import Database
from lrs.store.signing_keys import StoredKey

# All workers have loaded a key by then, after which it signs.
_TAKEN_UP_SECONDS = ACTIVATION_SECONDS + RELOAD_SECONDS


@click.group()
def keys() -> None:
    """Manage the keys that sign access tokens, and replace the secret key."""


@keys.command("list")
@json_option
@setting_options(*DATABASE)
def keys_list(as_json: bool, **options: Any) -> None:
    """List the signing keys. One signs, others verify tokens or are retired."""

    async def fetch(database: Database) -> list[StoredKey]:
        return await stored_keys.list_keys(database, ACTIVATION_SECONDS)

    rows = [
        {
            "kid": key.kid,
            "state": _state(key),
            "created_at": key.created_at,
            "retired_at": key.retired_at,
        }
        for key in run_with_database(load_settings(options), fetch)
    ]
    print_table(("kid", "state", "created_at"), rows, as_json=as_json)


def _state(key: StoredKey) -> str:
    if key.retired_at:
        return f"retired {format_day(key.retired_at)}"
    return "signs" if key.signs else "verifies"


@keys.command("rotate")
@setting_options(*DATABASE)
def keys_rotate(**options: Any) -> None:
    """Add a signing key. The present one goes on verifying tokens until it is retired."""
    settings = load_settings_with_key(options)

    async def rotate(database: Database) -> str:
        added = await signing_keys.rotate(database, open_secret_box(settings))
        await record_change(database, "key.rotate", f"key/{added}")
        return added

    kid = run_with_database(settings, rotate)
    echo(f"added {kid}: running servers sign with it within {_TAKEN_UP_SECONDS:.0f} seconds")


@keys.command("retire")
@click.argument("kid")
@setting_options(*DATABASE)
def keys_retire(kid: str, **options: Any) -> None:
    """Retire the signing key KID. Within a minute, tokens signed with it are refused."""

    async def retire(database: Database) -> None:
        await signing_keys.retire(database, kid)
        await record_change(database, "key.retire", f"key/{kid}")

    run_with_database(load_settings(options), retire)
    echo(f"retired {kid}")


@keys.command("rekey")
@setting_options(*DATABASE)
def keys_rekey(**options: Any) -> None:
    """Encrypt the database with LRS_SECRET_KEY again.

    LRS_ACCEPTED_SECRET_KEY is the key with which it is encrypted so far. After an interruption, run
    the command again.
    """
    settings = load_settings_with_key(options)

    async def run(database: Database) -> RekeyResult:
        result = await rekey.rekey(database, open_secret_box(settings))
        after = {"replaced": result.replaced, "unreadable": len(result.unreadable)}
        await record_change(database, "secret-key.replace", "secret-key", after=after)
        return result

    result = run_with_database(settings, run)
    echo(f"encrypted again: {result.replaced} of {result.total} (tools, pipes and signing keys)")
    for name in result.unreadable:
        echo(f"encrypted with another key: {name}", err=True)
    if result.unreadable:
        sys.exit(1)
