"""The `lrs` command."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn, TypeVar

import click
import httpx

from lrs import __version__, bootstrap
from lrs.auth import credentials, scopes
from lrs.auth.credentials import IssuedCredential
from lrs.cli.export import export
from lrs.cli.options import DATABASE, configured, flags, overlap
from lrs.cli.people import content, people
from lrs.cli.rebuild import rebuild, status
from lrs.cli.reports import reports
from lrs.cli.tools import tool
from lrs.errors import LRSError, OperatorError
from lrs.settings import Settings
from lrs.store import migrations, registry
from lrs.store.postgres import Database, open_admin_database, server_version
from lrs.store.registry import Credential

Result = TypeVar("Result")

_SERVE = ("host", "port", "workers", *DATABASE, "public_url", "log_level")


class Group(click.Group):
    """Turns what can go wrong into one sentence and a non-zero exit."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except OperatorError as error:
            fail(str(error))
        except LRSError as error:
            fail(error.detail)


def fail(sentence: str) -> NoReturn:
    click.echo(f"lrs: {sentence}", err=True)
    sys.exit(1)


def with_database(configuration: Settings, work: Callable[[Database], Awaitable[Result]]) -> Result:
    """Runs `work` on the configured database."""

    async def run(dsn: str) -> Result:
        async with bootstrap.open_database(dsn) as database:
            return await work(database)

    with bootstrap.database_url(configuration) as dsn:
        return asyncio.run(run(dsn))


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lrs")
def main() -> None:
    """A lightweight Learning Record Store.

    Every setting is an LRS_* environment variable too; docs/configuration.md lists them.
    """


@main.command()
@flags(*_SERVE)
def serve(**given: Any) -> None:
    """Start the server, on the embedded database unless one is given."""
    from lrs.server.serve import run

    run(configured(given))


@main.command()
@flags(*DATABASE)
def migrate(**given: Any) -> None:
    """Bring the database's schema up to date."""
    with bootstrap.database_url(configured(given)) as dsn:
        applied = asyncio.run(migrations.migrate(dsn))
    for migration in applied:
        click.echo(f"applied {migration.version:04} {migration.name}")
    click.echo(f"schema version {migrations.known()[-1].version}")


main.add_command(tool)
main.add_command(reports)
reports.add_command(rebuild)
reports.add_command(status)
main.add_command(export)
main.add_command(people)
main.add_command(content)


@main.group()
def partner() -> None:
    """Partners: the tenants of this store."""


@partner.command("add")
@click.argument("name")
@click.option("--title", default="", help="The name to show to people.")
@click.option(
    "--home-page",
    default=None,
    help="An absolute URL for the partner's own ids to be at home at.",
)
@flags(*DATABASE)
def partner_add(name: str, title: str, home_page: str | None, **given: Any) -> None:
    """Add a partner; NAME stands in its URLs."""
    configuration = configured(given)
    home = home_page
    if home is None:
        home = credentials.default_home_page(configuration.base_url, name)
    added = with_database(
        configuration, lambda database: credentials.add_partner(database, name, title, home)
    )
    click.echo(f"partner {added.name}, at home at {added.home_page}")


@partner.command("list")
@flags(*DATABASE)
def partner_list(**given: Any) -> None:
    """List the partners."""
    for each in with_database(configured(given), registry.list_partners):
        click.echo(f"{each.name}\t{each.title}\t{each.home_page}\t{_day(each.created_at)}")


@main.group()
def credential() -> None:
    """Credentials: what partners authenticate with."""


@credential.command("add")
@click.argument("partner_name", metavar="PARTNER")
@click.option(
    "--kind",
    type=click.Choice(["client", "bearer"]),
    default="client",
    show_default=True,
    help="client: key and secret, for OAuth2 and Basic. bearer: one static token.",
)
@click.option("--label", default="", help="A name to know it by.")
@click.option(
    "--scope",
    "wanted",
    multiple=True,
    type=click.Choice(scopes.SUPPORTED),
    help="What it may do; can be repeated.  [default: all]",
)
@click.option("--expires-in-days", type=click.IntRange(1, 36_500), help="How long it is good.")
@flags(*DATABASE)
def credential_add(
    partner_name: str,
    kind: str,
    label: str,
    wanted: tuple[str, ...],
    expires_in_days: int | None,
    **given: Any,
) -> None:
    """Issue a credential to PARTNER, and show its secret once."""
    expires_at = _in(timedelta(days=expires_in_days)) if expires_in_days else None

    async def add(database: Database) -> IssuedCredential:
        return await credentials.add_credential(
            database,
            await registry.get_partner(database, partner_name),
            kind=kind,
            label=label,
            granted=frozenset(wanted or (scopes.ALL,)),
            expires_at=expires_at,
        )

    _show(with_database(configured(given), add))


@credential.command("list")
@click.argument("partner_name", metavar="[PARTNER]", required=False)
@flags(*DATABASE)
def credential_list(partner_name: str | None, **given: Any) -> None:
    """List the credentials of PARTNER, or of all partners."""

    async def listed(database: Database) -> list[Credential]:
        if partner_name is not None:
            await registry.get_partner(database, partner_name)
        return await registry.list_credentials(database, partner_name)

    for each in with_database(configured(given), listed):
        state = "revoked" if each.revoked_at else "good"
        if each.expires_at and not each.revoked_at:
            state = f"until {_day(each.expires_at)}"
        granted = ",".join(sorted(each.scopes))
        click.echo(f"{each.partner}\t{each.key}\t{each.kind}\t{granted}\t{state}\t{each.label}")


@credential.command("rotate")
@click.argument("key")
@overlap
@flags(*DATABASE)
def credential_rotate(key: str, overlap_hours: float, **given: Any) -> None:
    """Give the credential KEY a new secret, and show it once."""
    until = _in(timedelta(hours=overlap_hours))
    _show(
        with_database(
            configured(given), lambda database: credentials.rotate_credential(database, key, until)
        )
    )


@credential.command("revoke")
@click.argument("key")
@flags(*DATABASE)
def credential_revoke(key: str, **given: Any) -> None:
    """End the credential KEY and every token it has, at once."""
    with_database(configured(given), lambda database: registry.revoke_credential(database, key))
    click.echo(f"revoked {key}")


@main.command()
@click.option("--url", default=None, help="The server.  [default: the configured base URL]")
@click.option("--key", required=True, help="The credential's key.")
@click.option("--secret", prompt=True, hide_input=True, envvar="SECRET", help="Its secret [SECRET]")
@click.option("--scope", default="", help="Limit the token to these scopes.")
def token(url: str | None, key: str, secret: str, scope: str) -> None:
    """Get an access token from a running server, and print it, for curl."""
    url = (url or configured({}).base_url).rstrip("/")
    form = {"grant_type": "client_credentials", "scope": scope}
    try:
        answer = httpx.post(f"{url}/oauth2/token", data=form, auth=(key, secret), timeout=30)
        content = answer.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        fail(f"No token can be had from {url}: {str(error).rstrip('.')}.")
    if not isinstance(content, dict) or "access_token" not in content:
        told = content if isinstance(content, dict) else {}
        words = [told[name] for name in ("error_description", "error", "detail") if name in told]
        fail(f"{url} refused with status {answer.status_code}: {(words or ['no reason given'])[0]}")
    click.echo(content["access_token"])


@main.command()
@flags(*DATABASE)
def check(**given: Any) -> None:
    """Check settings, database, schema version and keys."""
    configuration = configured(given)
    bootstrap.vocabulary(configuration)
    click.echo(f"settings  ok: base URL {configuration.base_url}")
    with bootstrap.database_url(configuration) as dsn:
        asyncio.run(_check(bootstrap.with_secret_key(configuration), dsn))


async def _check(configuration: Settings, dsn: str) -> None:
    async with open_admin_database(dsn) as database:
        click.echo(f"database  ok: {await server_version(database.readers)}")
        click.echo(f"schema    ok: version {await migrations.verify(database.readers)}")
        tokens = await bootstrap.load_keys(configuration, database)
    click.echo(f"keys      ok: {len(tokens.public_keys()['keys'])} signing")
    if configuration.oauth_issuer:
        count = await bootstrap.outside_keys(configuration)
        click.echo(f"issuer    ok: {count} keys of {configuration.oauth_issuer}")


def _show(issued: IssuedCredential) -> None:
    if issued.kind == "bearer":
        click.echo(f"key     {issued.key}\ntoken   {issued.token}")
    else:
        click.echo(f"key     {issued.key}\nsecret  {issued.secret}")
    click.echo("This is shown only once: keep it.", err=True)


def _in(span: timedelta) -> datetime:
    return datetime.now(UTC) + span


def _day(moment: datetime) -> str:
    return moment.date().isoformat()
