"""The files that travel with the code: JSON Schemas, named SQL, the vocabulary of reports.

A wheel carries them inside the package (`lrs/schemas`, `lrs/sql`, `lrs/vocabulary`); a checkout has
them at its top level. Names are paths below those directories, without the suffix:
`schema("xapi/common")`.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

_PACKAGE = Path(__file__).resolve().parent


@cache
def directory(kind: str) -> Path:
    """Where the files of one kind (`schemas`, `sql`, `vocabulary`) lie."""
    for parent in (_PACKAGE, _PACKAGE.parent):
        if (parent / kind).is_dir():
            return parent / kind
    raise FileNotFoundError(f"no {kind} directory beside or inside {_PACKAGE}")


@cache
def schema(name: str) -> dict[str, Any]:
    """One JSON Schema. The dict is shared by all callers: do not change it."""
    document: dict[str, Any] = json.loads((directory("schemas") / f"{name}.json").read_bytes())
    return document


@cache
def schema_files() -> dict[str, bytes]:
    """Every schema file as it is served under /schemas/: path with suffix -> bytes."""
    root = directory("schemas")
    files = sorted(path for path in root.rglob("*.json") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


@cache
def vocabulary(name: str) -> dict[str, Any]:
    """One file of the vocabulary. The dict is shared by all callers: do not change it."""
    document: dict[str, Any] = json.loads((directory("vocabulary") / f"{name}.json").read_bytes())
    return document


@cache
def sql(name: str) -> str:
    """The text of one SQL file."""
    return (directory("sql") / f"{name}.sql").read_text(encoding="utf-8")


@cache
def migrations() -> dict[str, str]:
    """Every migration: the file's name without its suffix -> its text."""
    files = (directory("sql") / "migrations").glob("*.sql")
    return {path.stem: path.read_text(encoding="utf-8") for path in files}
