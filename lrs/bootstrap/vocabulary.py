"""The vocabulary of the reports, with the configured extension."""

from __future__ import annotations

from pathlib import Path

from lrs.projection.vocabulary import InvalidVocabulary, Vocabulary, load_vocabulary
from lrs.settings import Settings, SettingsError


def load_configured_vocabulary(settings: Settings) -> Vocabulary:
    """The built-in vocabulary, extended by the configured file. Raises SettingsError."""
    path = settings.vocabulary_path
    try:
        return load_vocabulary(Path(path).read_bytes() if path else None)
    except OSError as error:
        raise SettingsError(f"LRS_VOCABULARY_PATH: cannot read the file: {error}.") from None
    except InvalidVocabulary as error:
        raise SettingsError(f"LRS_VOCABULARY_PATH: {path}: {error}.") from None
