"""Start of the server and of commands: database, secret key, signing keys, demo partner."""

from __future__ import annotations

import os
import secrets as random
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from lrs.admin.operators import IssuedLink, add_demo_owner
from lrs.auth import scopes
from lrs.auth.credentials import IssuedCredential, add_credential, add_partner, default_home_page
from lrs.auth.jwks import JWKS_ERRORS, ExternalIssuer, fetch_jwks
from lrs.auth.secret_box import SecretBox
from lrs.auth.signing_keys import SigningKeys
from lrs.auth.tokens import AccessTokens
from lrs.errors import Conflict, OperatorError
from lrs.projection.vocabulary import InvalidVocabulary, Vocabulary, load_vocabulary
from lrs.settings import Settings, SettingsError
from lrs.store import migrations, registry
from lrs.store.postgres import Database, open_admin_database

DEMO_PARTNER = "demo"
SECRET_KEY_FILE = "secret.key"  # noqa: S105 - a file name
_UNFINISHED_RESTORE = "restore.unfinished"

DEMO_SCOPES = frozenset({scopes.ALL})


@contextmanager
def database_url(
    settings: Settings,
    *,
    exclusive: bool = False,
    create: bool = True,
    **supervision: Callable[[], Any],
) -> Iterator[str]:
    """The DSN of the configured database; the embedded one is started unless it runs already.

    With `exclusive`, an embedded one must not run already; without `create`, it must exist. The
    process that starts it supervises it: `supervision` are members of
    `embedded_postgres.Supervision`. Raises OperatorError.
    """
    if settings.database_url:
        yield settings.database_url
        return
    from lrs import embedded_postgres  # optional: not installed with an external database

    directory = Path(settings.data_directory)
    if (directory / _UNFINISHED_RESTORE).exists():
        raise OperatorError(
            f"The data directory {directory} holds an unfinished restore: run `lrs restore` again."
        )
    if not create and not (directory / "postgres").exists():
        raise OperatorError(
            f"There is no database in {directory.expanduser().absolute()}: run the command in the "
            "directory of the server, set LRS_DATA_DIRECTORY or LRS_DATABASE_URL, or create one "
            "with `lrs serve`."
        )
    running_dsn = None if exclusive else embedded_postgres.find_dsn(directory)
    if running_dsn:
        yield running_dsn
    else:
        options = embedded_postgres.Supervision(**supervision)  # type: ignore[arg-type]
        archive = settings.wal_archive_directory
        is_command = not supervision
        with (
            embedded_postgres.stopped_with_this_process(directory) if is_command else nullcontext(),
            embedded_postgres.running(
                directory, settings.reports_address, options, Path(archive) if archive else None
            ) as dsn,
        ):
            yield dsn


@contextmanager
def empty_database(
    settings: Settings, prepare: Callable[[Path], None] = lambda _: None
) -> Iterator[str]:
    """The DSN of the configured database, to restore into; a new one in an empty data directory.

    `prepare` may put a cluster into the data directory before PostgreSQL starts.

    A data directory in which a restore was interrupted counts as empty, and no server starts on it.
    If the block fails, the data directory is empty again. Raises OperatorError.
    """
    if settings.database_url:
        yield settings.database_url
        return
    from lrs import embedded_postgres  # optional: not installed with an external database

    directory = Path(settings.data_directory)
    marker = directory / _UNFINISHED_RESTORE
    if directory.exists() and any(directory.iterdir()) and not marker.exists():
        raise OperatorError(
            f"The data directory {directory} is not empty: restore into a new one, or move it away."
        )
    _remove_contents(directory)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    marker.touch(mode=0o600)
    try:
        prepare(directory)
        with embedded_postgres.running(directory) as dsn:
            yield dsn
        marker.unlink()
    except BaseException:
        _remove_contents(directory)
        raise


def _remove_contents(directory: Path) -> None:
    for path in directory.iterdir() if directory.exists() else ():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def with_secret_key(settings: Settings, *, create: bool = True) -> Settings:
    """The settings with a secret key: the configured one, or one kept in the data directory.

    With `create`, the file is created unless it exists. Raises SettingsError.
    """
    if settings.secret_key:
        return settings
    path = secret_key_path(settings)
    try:
        if create:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _create_secret_key(path)
    except OSError as error:
        raise SettingsError(f"The secret key cannot be written to {path}: {error}.") from None
    try:
        key = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"The secret key cannot be read from {path}: {error}.") from None
    if len(key) < 32:
        raise SettingsError(f"The secret key in {path} is damaged: fewer than 32 characters.")
    return replace(settings, secret_key=key)


def secret_key_path(settings: Settings) -> Path:
    """The file of the secret key, unless that is configured."""
    return Path(settings.data_directory) / SECRET_KEY_FILE


def secret_box(settings: Settings) -> SecretBox:
    """Encryption with the secret key of the settings."""
    return SecretBox(settings.secret_key, settings.accepted_secret_key)


def _create_secret_key(path: Path) -> None:
    """Write a new key unless the file exists; synced before anything is encrypted with it."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(random.token_urlsafe(48) + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        path.unlink()
        raise


def load_configured_vocabulary(settings: Settings) -> Vocabulary:
    """The built-in vocabulary, extended by the configured file. Raises SettingsError."""
    path = settings.vocabulary_path
    try:
        return load_vocabulary(Path(path).read_bytes() if path else None)
    except OSError as error:
        raise SettingsError(f"LRS_VOCABULARY_PATH: cannot read the file: {error}.") from None
    except InvalidVocabulary as error:
        raise SettingsError(f"LRS_VOCABULARY_PATH: {path}: {error}.") from None


@asynccontextmanager
async def open_verified_database(dsn: str) -> AsyncIterator[Database]:
    """Open a database for a command and verify its schema. Raises Unavailable."""
    async with open_admin_database(dsn) as database:
        await migrations.verify(database.readers)
        yield database


async def load_keys(settings: Settings, database: Database) -> AccessTokens:
    """The keys that sign access tokens; the first one is created. Raises WrongSecretKey."""
    external_issuer = None
    if settings.oauth_issuer:
        audience = settings.oauth_audience or settings.base_url
        external_issuer = ExternalIssuer(
            settings.oauth_issuer, settings.oauth_jwks, audience, settings.oauth_client_claim
        )
    signing_keys = SigningKeys(database, secret_box(settings))
    await signing_keys.load()
    return AccessTokens(
        signing_keys,
        issuer=settings.base_url,
        ttl_seconds=settings.access_token_ttl_seconds,
        external_issuer=external_issuer,
    )


async def count_external_keys(settings: Settings) -> int:
    """The number of keys in the JWK Set of the external issuer. Raises SettingsError."""
    try:
        return len((await fetch_jwks(settings.oauth_jwks)).keys)
    except (httpx.HTTPError, OSError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
    except JWKS_ERRORS:
        reason = "not a JWK Set with keys"
    raise SettingsError(f"LRS_OAUTH_JWKS: the keys cannot be read: {reason}.")


@dataclass(frozen=True, slots=True)
class Demo:
    """What a new server is tried with; `link` is None if there is an operator already."""

    credential: IssuedCredential
    link: IssuedLink | None


async def add_demo(database: Database, base_url: str) -> Demo | None:
    """Add the demo partner with a credential, and the demo owner; None if a partner exists."""
    credential = await add_demo_partner(database, base_url)
    return Demo(credential, await add_demo_owner(database)) if credential else None


async def add_demo_partner(database: Database, base_url: str) -> IssuedCredential | None:
    """Add the demo partner with a credential; None if a partner exists."""
    if await registry.list_partners(database):
        return None
    try:
        partner = await add_partner(
            database, DEMO_PARTNER, "Demo partner", default_home_page(base_url, DEMO_PARTNER)
        )
    except Conflict:
        return None
    return await add_credential(
        database,
        partner,
        kind="client",
        label="Demo credential",
        granted=DEMO_SCOPES,
        expires_at=None,
    )
