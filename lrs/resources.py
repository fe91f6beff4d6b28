"""Data files shipped with the package: JSON Schemas, named SQL, the vocabulary of reports.

A wheel carries them inside the package (`lrs/schemas`, `lrs/sql`, `lrs/vocabulary`); a checkout has
them at its top level. Names are paths below those directories, without the suffix:
`schema("xapi/common")`.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

_PACKAGE = Path(__file__).resolve().parent
_QUERY_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


@cache
def directory(kind: str) -> Path:
    """The directory of the files of one kind: `schemas`, `sql` or `vocabulary`."""
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
def sql_file(name: str) -> str:
    """The text of one SQL file below `sql/`, by its path without the suffix."""
    return (directory("sql") / f"{name}.sql").read_text(encoding="utf-8")


@cache
def queries() -> dict[str, str]:
    """Every named query of `sql/*.sql` by its name; `sql/README.md` describes the form.

    A query keeps its name and comment, so that `pg_stat_activity` shows the name, and loses the
    semicolon, so that it can be a subquery. Raises ValueError if two queries have the same name.
    """
    texts: dict[str, str] = {}
    for path in sorted(directory("sql").glob("*.sql")):
        _, *parts = _QUERY_NAME.split(path.read_text(encoding="utf-8"))
        for name, text in zip(parts[::2], parts[1::2], strict=True):
            if name in texts:
                raise ValueError(f"{path.name} defines the query {name} again")
            texts[name] = f"-- name: {name}\n{text.strip().removesuffix(';')}"
    return texts


def query(name: str) -> str:
    """One named query. Raises KeyError if there is none."""
    return queries()[name]


@cache
def migrations() -> dict[str, str]:
    """Every migration: the file's name without its suffix -> its text."""
    files = (directory("sql") / "migrations").glob("*.sql")
    return {path.stem: path.read_text(encoding="utf-8") for path in files}
