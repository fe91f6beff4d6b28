"""The secret key: configured, or in a file of the data directory."""

from __future__ import annotations

import os
import secrets as random
from dataclasses import replace
from pathlib import Path

from lrs.auth.secret_box import SecretBox
from lrs.settings import Settings, SettingsError

SECRET_KEY_FILE = "secret.key"  # noqa: S105 - a file name


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


def open_secret_box(settings: Settings) -> SecretBox:
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
