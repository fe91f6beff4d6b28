"""`lrs token`: an access token of a running server."""

from __future__ import annotations

from typing import Any, TextIO

import click
import httpx

from lrs.cli.database import find_base_url
from lrs.cli.options import (
    DATABASE,
    load_settings,
    read_secret,
    secret_file_option,
    setting_options,
)
from lrs.cli.output import echo
from lrs.errors import OperatorError


@click.command()
@click.option("--url", default=None, help="URL of the server.  [default: that of its last start]")
@click.option("--key", required=True, help="Key of the credential.")
@secret_file_option
@click.option("--scope", default="", help="Limit the token to these scopes.")
@setting_options(*DATABASE)
def token(
    url: str | None, key: str, secret_file: TextIO | None, scope: str, **options: Any
) -> None:
    """Request an access token from a running server and print it.

    Without --secret-file and SECRET, the command prompts for the secret.
    """
    secret = read_secret(secret_file)
    if secret is None:
        secret = click.prompt("Secret", hide_input=True)
    url = (url or find_base_url(load_settings(options))).rstrip("/")
    form = {"grant_type": "client_credentials", "scope": scope}
    try:
        response = httpx.post(f"{url}/oauth2/token", data=form, auth=(key, secret), timeout=30)
        content = response.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        reason = str(error).rstrip(".")
        raise OperatorError(f"Token request to {url} failed: {reason}.") from None
    if not isinstance(content, dict) or "access_token" not in content:
        raise OperatorError(f"{url} returned status {response.status_code}: {_reason(content)}")
    echo(content["access_token"])


def _reason(content: Any) -> str:
    members = content if isinstance(content, dict) else {}
    for name in ("error_description", "error", "detail"):
        if name in members:
            return str(members[name])
    return "no error description"
